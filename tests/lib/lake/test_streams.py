"""Of two runners of a streaming query, one is refused."""

import pytest

from wattcast.lake.locks import TableHasAWriter
from wattcast.runtime.context import Run, build_run


def test_a_second_runner_of_a_query_is_refused_until_the_first_has_closed(once: Run) -> None:
    once.lake.locks.query_lock("ingest")
    once.lake.locks.query_lock("ingest")
    second = build_run(once.spark, once.settings)
    with pytest.raises(TableHasAWriter, match=r"query-ingest is locked by.*Stop that process first"):
        second.lake.locks.query_lock("ingest")
    once.close()
    second.lake.locks.query_lock("ingest")
    second.close()
