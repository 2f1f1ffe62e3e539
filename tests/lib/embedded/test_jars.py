"""The jars come once, whole, and as locked."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wattcast.embedded.jars import Jar, JarsUnavailable, jars, locked_jars
from wattcast.settings import cache_folder

VICTIM = "commons-pool2-2.13.1.jar"
OFFLINE = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=1 -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=1"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own that holds the spark set; its files may be damaged."""
    here = jars("spark")
    monkeypatch.setenv("WATTCAST_CACHE", str(tmp_path))
    folder = cache_folder("jars") / "spark"
    folder.mkdir(parents=True)
    for path in here:
        if path.name == VICTIM:
            (folder / VICTIM).write_bytes(path.read_bytes())
        else:
            (folder / path.name).symlink_to(path)
    return folder


def is_maven_central_reachable() -> bool:
    try:
        socket.create_connection(("repo1.maven.org", 443), 5).close()
    except OSError:
        return False
    return True


def test_lock_names_a_broker_and_the_connectors_of_this_spark() -> None:
    import pyspark

    locked = locked_jars()
    coordinates = {jar.coordinates for jar in locked}
    assert len({(jar.set, jar.file) for jar in locked}) == len(locked)
    assert {"org.apache.kafka:kafka_2.13:4.3.1", "io.delta:delta-spark_4.2_2.13:4.4.0"} <= coordinates
    assert f"org.apache.spark:spark-sql-kafka-0-10_2.13:{pyspark.__version__}" in coordinates
    assert {len(jar.sha256) for jar in locked} == {64}


def test_spark_set_repeats_nothing_that_spark_ships() -> None:
    import pyspark

    shipped = {path.name.rpartition("-")[0] for path in Path(pyspark.__file__).parent.glob("jars/*.jar")}
    ours = {jar.file.rpartition("-")[0] for jar in locked_jars() if jar.set == "spark"}
    assert len(shipped) > 100
    assert not shipped & ours


def test_cache_is_where_the_variables_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATTCAST_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder("jars") == tmp_path / "xdg" / "wattcast" / "jars"
    monkeypatch.setenv("WATTCAST_CACHE", str(tmp_path / "own"))
    assert cache_folder("jars") == tmp_path / "own" / "jars"


def test_whole_cache_needs_neither_network_nor_java(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert [path.name for path in jars("spark")] == [jar.file for jar in locked_jars() if jar.set == "spark"]


def test_damaged_jar_is_refused_and_removed(cache: Path) -> None:
    with (cache / VICTIM).open("ab") as jar:
        jar.write(b"!")
    with pytest.raises(JarsUnavailable, match=f"{VICTIM} is damaged"):
        jars("spark")
    assert not (cache / VICTIM).exists()


def test_missing_jar_offline_is_one_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", OFFLINE)
    (cache / VICTIM).unlink()
    with pytest.raises(JarsUnavailable, match="is this machine offline") as error:
        jars("spark")
    assert "\n" not in str(error.value)
    assert [path.name for path in cache.iterdir() if path.name.startswith(".fetch-")] == []


@pytest.mark.skipif(not is_maven_central_reachable(), reason="Maven Central is out of reach")
def test_two_processes_at_once_fetch_a_missing_jar(cache: Path) -> None:
    (cache / VICTIM).unlink()
    command = [sys.executable, "-c", "from wattcast.embedded.jars import jars; print(len(jars('spark')))"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) for _ in range(2)]
    assert [process.communicate(timeout=300)[0].strip() for process in both] == [b"6", b"6"]
    assert sorted(path.name for path in cache.iterdir()) == sorted([".lock", *(path.name for path in jars("spark"))])


@pytest.mark.skipif(not is_maven_central_reachable(), reason="Maven Central is out of reach")
def test_jar_that_differs_from_the_lock_never_gets_its_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / VICTIM).unlink()
    wrong = [Jar(jar.set, jar.file, jar.coordinates, "0" * 64) for jar in locked_jars() if jar.file == VICTIM]
    monkeypatch.setattr("wattcast.embedded.jars.locked_jars", lambda: wrong)
    with pytest.raises(JarsUnavailable, match="expected 0000"):
        jars("spark")
    assert not (cache / VICTIM).exists()
