"""A missing or too old Java or Python is one sentence that says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from wattcast.embedded import preflight
from wattcast.embedded.preflight import Unsupported, check_java, check_python


@pytest.fixture
def java_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JAVA_HOME in which a test puts the java it wants."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    (tmp_path / "bin").mkdir()
    return tmp_path


def put_java(home: Path, says: str, status: int = 0) -> None:
    java = home / "bin" / "java"
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\nexit {status}\n")
    java.chmod(0o755)


def sentence(error: pytest.ExceptionInfo[Unsupported]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert ". " not in text
    return text


def test_java_of_this_machine_is_new_enough() -> None:
    assert check_java() >= 17


@pytest.mark.parametrize(
    ("says", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "26-ea"', 26),
    ],
)
def test_new_java_is_recognised(java_home: Path, says: str, major: int) -> None:
    put_java(java_home, says)
    assert check_java() == major


@pytest.mark.parametrize(
    ("says", "found"), [('java version "1.8.0_392"', "Java 8"), ('openjdk version "11.0.2" 2019-01-15', "Java 11")]
)
def test_old_java_is_refused_by_its_version(java_home: Path, says: str, found: str) -> None:
    put_java(java_home, says)
    with pytest.raises(Unsupported, match="17 or newer") as error:
        check_java()
    assert found in sentence(error)


def test_java_home_without_java_is_said(java_home: Path) -> None:
    with pytest.raises(Unsupported, match="JAVA_HOME") as error:
        check_java()
    assert str(java_home) in sentence(error)


def test_no_java_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported, match="there is none on PATH") as error:
        check_java()
    assert "openjdk-17" in sentence(error)


def test_placeholder_that_only_asks_for_java_counts_as_none(java_home: Path) -> None:
    put_java(java_home, "Unable to locate a Java Runtime.", status=1)
    with pytest.raises(Unsupported, match="prints no version") as error:
        check_java()
    sentence(error)


def test_old_python_is_refused_by_its_version() -> None:
    with pytest.raises(Unsupported, match=r"3\.11 or newer and this is 3\.9") as error:
        check_python((3, 9))
    sentence(error)
    assert check_python((3, 11)) == (3, 11)


def test_file_runs_before_any_install(java_home: Path) -> None:
    put_java(java_home, 'openjdk version "11.0.2" 2019-01-15')
    command = [sys.executable, "-I", "-S", str(preflight.__file__)]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    put_java(java_home, 'openjdk version "21.0.1" 2023-10-17')
    passed = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "is Java 11" in refused.stderr
    assert (passed.returncode, passed.stdout, passed.stderr) == (0, "", "")
