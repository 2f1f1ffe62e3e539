"""`wattcast simulate` and `wattcast demo` refuse wrong options with one line."""

from pathlib import Path

import pytest
from tests.commands import Wattcast

from wattcast.settings import cache_folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["x.parquet", "--interval-minutes", "7"], "7 minutes do not divide an hour: use 5, 10, 15, 30 or 60."),
        (["x.parquet", "--interval-minutes", "0"], "0 minutes do not divide an hour: use 5, 10, 15, 30 or 60."),
        (["x.parquet", "--faults", "0.9"], "The share of faulty readings must lie between 0 and 0.5."),
        (["x.parquet", "--start", "0001-01-01"], "60 days from 0001-01-01 are not within the years 1970 to 2199."),
        (["x.parquet", "--start", "9999-12-31"], "60 days from 9999-12-31 are not within the years 1970 to 2199."),
        (["file/x.parquet"], "file: File exists."),
    ],
    ids=lambda options: " ".join(options) if isinstance(options, list) else "",
)  # fmt: skip
def test_simulation_with_wrong_options_is_refused_in_one_line(
    options: list[str], message: str, wattcast: Wattcast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    result = wattcast("simulate", *options)
    assert (result.status, result.line) == (2, f"{message}\n")


def test_demo_refuses_wrong_input_before_it_starts_a_broker(
    wattcast: Wattcast, no_broker: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("when,building_id\n2026-01-01,a\n")
    columns = "bad.csv lacks the column measured_at (or timestamp); it has when, building_id."
    refusals = {
        ("--data", str(file)): columns,
        ("--data", "none.csv"): "There is no file none.csv.",
        ("--interval-minutes", "7"): "7 minutes do not divide an hour: use 5, 10, 15, 30 or 60.",
    }
    for options, message in refusals.items():
        result = wattcast("demo", *options, **no_broker)
        assert result.status == 2
        assert result.line.startswith(message)
    assert not (tmp_path / "demo" / "kafka").exists()


def test_machine_that_cannot_prepare_a_quick_start_still_gets_its_jars(
    wattcast: Wattcast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\n[ $1 = -version ] && echo 'openjdk version \"17.0.2\"' >&2 || exit 1\n")
    java.chmod(0o755)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "jars").symlink_to(cache_folder("jars"))
    result = wattcast("jars", WATTCAST_CACHE=str(cache), JAVA_HOME=str(tmp_path))
    assert result.status == 0
    assert "The quick start could not be prepared; all commands work, but start more slowly." in result.err
    assert list(cache.glob("class-archives/*/*")) == []
