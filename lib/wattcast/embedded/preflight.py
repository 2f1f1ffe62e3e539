"""Checks that Python and Java are new enough. Also runs as a plain file, before Wattcast is installed."""

from __future__ import annotations  # an old Python must run this file far enough to say that it is too old

import os
import re
import shutil
import subprocess
import sys

PYTHON_NEEDED = (3, 11)
JAVA_NEEDED = 17


class Unsupported(Exception):
    """Python or Java is missing or too old; the message says what to do."""

    exit_status = 2  # errors.REFUSED, which an old Python could not import


def check_python(version: tuple[int, int] = (sys.version_info[0], sys.version_info[1])) -> tuple[int, int]:
    """The (major, minor) version of the running Python. Raises Unsupported."""
    if version < PYTHON_NEEDED:
        needed = ".".join(map(str, PYTHON_NEEDED))
        raise Unsupported(
            f"Wattcast needs Python {needed} or newer and this is {version[0]}.{version[1]}: "
            f"install one (python.org, apt, brew, pyenv) and name it, for example `make install PYTHON=python{needed}`."
        )
    return version


def check_java() -> int:
    """The major version of the Java in JAVA_HOME, else on PATH. Raises Unsupported."""
    java = java_executable()
    try:
        done = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unsupported(
            f"Wattcast needs Java {JAVA_NEEDED} or newer and {java} does not run ({error}): {_how()}."
        ) from error
    version = re.search(r'version "(?:1\.)?(\d+)', done.stderr + done.stdout)
    if done.returncode or not version:  # macOS has a /usr/bin/java that only prints that Java is not installed
        raise Unsupported(f"Wattcast needs Java {JAVA_NEEDED} or newer and {java} prints no version: {_how()}.")
    major = int(version[1])
    if major < JAVA_NEEDED:
        raise Unsupported(f"Wattcast needs Java {JAVA_NEEDED} or newer and {java} is Java {major}: {_how()}.")
    return major


def java_executable() -> str:
    """Path of the `java` program: in JAVA_HOME if that is set, else the first on PATH. Raises Unsupported."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=os.path.join(home, "bin") if home else None)
    if not java:
        where = f"JAVA_HOME ({home}) has no bin/java" if home else "there is none on PATH"
        raise Unsupported(f"Wattcast needs Java {JAVA_NEEDED} or newer and {where}: {_how()}.")
    return java


def _how() -> str:
    return (
        f"install it (Debian: apt-get install openjdk-{JAVA_NEEDED}-jre-headless, "
        f"macOS: brew install openjdk@{JAVA_NEEDED}, elsewhere: adoptium.net) and put it on PATH or set JAVA_HOME"
    )


def main() -> int:
    """0 if Python and Java are new enough; otherwise 1, with the message on stderr."""
    try:
        check_python()
        check_java()
    except Unsupported as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
