"""How a query goes on after what its checkpoint and its table have of it."""

import pytest

from wattcast.lake.checkpoints import Checkpoint, CheckpointUnusable, Continuation, check_not_ahead, continuation


@pytest.mark.parametrize(
    ("started", "finished", "written", "expected"),
    [
        (-1, -1, -1, Continuation(0, may_repeat=True)),  # a new query
        (7, 7, 7, Continuation(0, may_repeat=False)),  # stopped between two batches
        (8, 7, 7, Continuation(0, may_repeat=False)),  # killed before the commit to the table
        (8, 7, 8, Continuation(1, may_repeat=True)),  # killed between the two commits
        (3, 3, 7, Continuation(5, may_repeat=True)),  # an older copy
        (4, 3, 7, Continuation(4, may_repeat=True)),
        (-1, -1, 7, Continuation(9, may_repeat=True)),  # only its metadata
    ],
)
def test_the_next_batch_repeats_no_number_of_the_table(
    started: int, finished: int, written: int, expected: Continuation
) -> None:
    assert continuation(Checkpoint("q", started, finished), written) == expected


def test_a_checkpoint_ahead_of_its_table_is_refused_with_the_missing_batches() -> None:
    check_not_ahead(Checkpoint("q", 8, 7), 7, place="checkpoints/ingest", table="received_readings")
    with pytest.raises(CheckpointUnusable, match=r"ingest is ahead of the table received_readings.* batches 6 to 7: "):
        check_not_ahead(Checkpoint("q", 8, 7), 5, place="checkpoints/ingest", table="received_readings")
