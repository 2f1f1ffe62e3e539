"""A checkpoint that does not fit the table, as after a restored backup, costs neither a record nor doubles one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from jobs.ingest import INGEST
from tests.jobs.steps import at, forget_tables, numbers, reading, send, work

from wattcast.ingest.audit import audit
from wattcast.lake.checkpoints import CheckpointUnusable
from wattcast.runtime.context import Run

ARRIVAL = at("2026-03-01T10:01")
GOOD = reading("b1", "2026-03-01T09:00", 1.0)


def offsets(run: Run) -> list[int]:
    return sorted(row.kafka_offset for row in run.lake.table("received_readings").collect())


def arrive_and_ingest(run: Run, count: int) -> None:
    send(run.broker, run.settings.kafka.readings_topic, [GOOD] * count, arrival=ARRIVAL)
    work(run, INGEST)


def remove_file(file: Path) -> None:
    """Remove a file and its checksum."""
    file.unlink()
    file.with_name(f".{file.name}.crc").unlink()


def without(*names: str) -> Callable[[Path], None]:
    """Removes parts of a checkpoint."""

    def remove(checkpoint: Path) -> None:
        for name in names:
            if (checkpoint / name).is_dir():
                shutil.rmtree(checkpoint / name)
            else:
                remove_file(checkpoint / name)

    return remove


def without_last_commit(checkpoint: Path) -> None:
    """As after a kill between the commit to the table and that to the checkpoint."""
    remove_file(checkpoint / "commits" / str(max(numbers(checkpoint / "commits"))))


DAMAGES = {
    "killed": without_last_commit,
    "metadata alone": without("offsets", "commits"),
    "killed after that": without_last_commit,
    "metadata and id alone": without("offsets", "commits", "sources"),
    "sources alone": without("metadata", "offsets", "commits"),
}


def test_each_record_is_one_row_whatever_part_of_the_checkpoint_is_lost(once: Run) -> None:
    checkpoint = Path(once.settings.checkpoints_uri, "ingest")
    arrive_and_ingest(once, 3)
    arrive_and_ingest(once, 3)
    for count, (damage, apply) in enumerate(DAMAGES.items(), start=1):
        apply(checkpoint)
        arrive_and_ingest(once, 2)
        assert offsets(once) == list(range(6 + 2 * count)), damage


def test_an_older_copy_of_the_checkpoint_loses_no_record_and_doubles_none(once: Run, tmp_path: Path) -> None:
    checkpoint = Path(once.settings.checkpoints_uri, "ingest")
    arrive_and_ingest(once, 3)
    shutil.copytree(checkpoint, tmp_path / "copy")
    for _ in range(2):
        arrive_and_ingest(once, 2)
    shutil.rmtree(checkpoint)
    shutil.copytree(tmp_path / "copy", checkpoint)
    arrive_and_ingest(once, 2)
    without_last_commit(checkpoint)
    arrive_and_ingest(once, 2)
    assert offsets(once) == list(range(11))
    assert all(partition.is_clean and not partition.lag for partition in audit(once))


def test_an_older_copy_of_the_table_stops_ingest_until_the_checkpoint_is_removed(once: Run, tmp_path: Path) -> None:
    table, checkpoint = Path(once.lake.path("received_readings")), Path(once.settings.checkpoints_uri, "ingest")
    arrive_and_ingest(once, 3)
    shutil.copytree(table, tmp_path / "copy")
    arrive_and_ingest(once, 2)
    shutil.rmtree(table)
    shutil.copytree(tmp_path / "copy", table)
    forget_tables(once)
    with pytest.raises(
        CheckpointUnusable, match=r"is ahead of the table received_readings, which lacks the batches 1 to 1"
    ):
        work(once, INGEST)
    shutil.rmtree(checkpoint)
    arrive_and_ingest(once, 2)
    assert offsets(once) == list(range(7))


def test_a_damaged_checkpoint_stops_ingest_with_a_sentence(once: Run) -> None:
    checkpoint = Path(once.settings.checkpoints_uri, "ingest")
    arrive_and_ingest(once, 1)
    shutil.rmtree(checkpoint / "offsets")
    with pytest.raises(CheckpointUnusable, match=r"ingest is incomplete: .* batch 0, .* after batch -1\. Remove that"):
        work(once, INGEST)
    remove_file(checkpoint / "metadata")
    shutil.rmtree(checkpoint / "commits")
    (checkpoint / "offsets").mkdir()
    (checkpoint / "offsets" / "0").write_bytes(b"v1")
    with pytest.raises(CheckpointUnusable, match=r"ingest is incomplete: its file metadata is missing\. Remove that"):
        work(once, INGEST)
    (checkpoint / "metadata").write_bytes(b"")
    with pytest.raises(CheckpointUnusable, match=r"metadata of the checkpoint .*ingest is damaged\. Remove that"):
        work(once, INGEST)
