"""Archives of loaded Java classes, with which Spark and the broker start in about half the time.

Java checks an archive against its own version and against the jars, and starts without it if they differ (class data sharing,
https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html).
"""

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from wattcast.embedded.preflight import java_executable
from wattcast.settings import cache_folder

Program = Literal["broker", "spark"]
QUIET = ("-Xshare:auto", "-Xlog:disable", "-Xlog:all=error:stderr")  # no warnings of classes that cannot be archived


def archive_file(program: Program, jars: Iterable[Path]) -> Path:
    """Where the archive of a program with these jars is, or will be; its name changes with Java and with each jar."""
    digest = hashlib.sha256()
    for path in [Path(java_executable()).resolve(), *jars]:
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    environment = hashlib.sha256(sys.prefix.encode()).hexdigest()[:16]
    return cache_folder("class-archives") / environment / f"{program}-{digest.hexdigest()[:16]}.jsa"


def use_options(archive: Path) -> list[str]:
    """Options with which Java uses an archive; none if there is no archive."""
    return [f"-XX:SharedArchiveFile={archive}", *QUIET] if archive.is_file() else []


def write_options(file: Path) -> list[str]:
    """Options with which Java writes an archive of all classes that it has loaded when it ends."""
    return [f"-XX:ArchiveClassesAtExit={file}", *QUIET]


def install(draft: Path, archive: Path) -> None:
    """Give a complete archive its name, and remove older archives of the same program."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    program = archive.name.partition("-")[0]
    outdated = [path for path in archive.parent.glob(f"{program}-*.jsa") if path != archive]
    os.replace(draft, archive)
    for path in outdated:
        path.unlink(missing_ok=True)
