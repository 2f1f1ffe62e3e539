"""A table whose newest commit is damaged is not written, and its readers are warned."""

import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.jobs.steps import forget_tables

from wattcast.lake.delta_log import TableDamaged
from wattcast.runtime.context import Run, build_run
from wattcast.settings import Settings


@pytest.fixture
def filled(new_run: Callable[..., Run], local_settings: Settings) -> Run:
    """A lake whose table `buildings` has been replaced twice."""
    run = new_run(local_settings, once=True)
    for count in (1, 2):
        rows = pd.DataFrame({"building_id": [f"b{number}" for number in range(count)]})
        run.lake.replace("buildings", run.lake.frame("buildings", rows))
    run.close()
    return run


def newest_commit(run: Run) -> Path:
    return max(Path(run.lake.path("buildings"), "_delta_log").glob("*.json"))


def damage(run: Run, content: bytes) -> Run:
    """The run of a new process, after the newest commit became this content."""
    newest_commit(run).write_bytes(content)
    newest_commit(run).with_name(f".{newest_commit(run).name}.crc").unlink()
    forget_tables(run)
    return build_run(run.spark, run.settings, once=True)


@pytest.mark.parametrize(("content", "fault"), [(b"", "is empty"), (b'{"add": {"path', "is no readable JSON")])
def test_a_table_with_a_damaged_commit_is_not_written_and_a_reader_is_warned(
    filled: Run, content: bytes, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = newest_commit(filled)
    again = damage(filled, content)
    with caplog.at_level(logging.WARNING, "wattcast.lake"):
        if not content:  # Spark refuses to read what is no JSON
            assert again.lake.table("buildings").count() == 1
            assert f"The table buildings is damaged: its commit {before} {fault}" in caplog.text
    rows = again.lake.frame("buildings", pd.DataFrame({"building_id": ["b9"]}))
    with pytest.raises(TableDamaged, match=rf"{fault}.*`wattcast doctor --lake` says how"):
        again.lake.replace("buildings", rows)
    again.close()
    assert newest_commit(filled) == before
