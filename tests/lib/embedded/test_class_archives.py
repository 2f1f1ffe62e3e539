"""Archives of loaded classes: written once, used while Java and the jars are the same."""

from pathlib import Path

import psutil
import pytest

from wattcast.embedded.class_archives import archive_file, install, use_options, write_options
from wattcast.embedded.jars import jars
from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.settings import cache_folder


@pytest.fixture
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A jar; the archives are in the cache of this test."""
    monkeypatch.setenv("WATTCAST_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "a.jar"
    file.write_bytes(b"classes")
    return file


def test_another_jar_needs_another_archive(jar: Path) -> None:
    before = archive_file("spark", [jar])
    assert archive_file("spark", [jar]) == before
    jar.write_bytes(b"more classes")
    assert archive_file("spark", [jar]) != before


def test_without_an_archive_java_gets_no_options(jar: Path) -> None:
    assert use_options(archive_file("spark", [jar])) == []


def test_a_new_archive_replaces_older_ones_of_its_program(jar: Path) -> None:
    archive = archive_file("spark", [jar])
    archive.parent.mkdir(parents=True)
    older, broker, draft = (
        archive.with_name("spark-1.jsa"),
        archive.with_name("broker-1.jsa"),
        archive.with_name("draft"),
    )
    for file in (older, broker, draft):
        file.touch()
    install(draft, archive)
    assert sorted(archive.parent.iterdir()) == sorted([archive, broker])


def test_the_broker_writes_an_archive_and_the_next_broker_starts_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = cache_folder("jars")
    monkeypatch.setenv("WATTCAST_CACHE", str(tmp_path))
    (tmp_path / "jars").symlink_to(cached)
    draft, archive = tmp_path / "draft", archive_file("broker", jars("broker"))
    with EmbeddedBroker(tmp_path, java_options=write_options(draft)):
        pass
    install(draft, archive)
    with EmbeddedBroker(tmp_path) as broker:
        assert any(file.path == str(archive) for file in psutil.Process(broker.pid).memory_maps())
