"""Queries that end since another process has changed the columns of a table that they read, as at an upgrade."""

import logging
import re

from pyspark.sql.streaming.query import StreamingQuery

log = logging.getLogger("wattcast")

CHANGE = re.compile(r"DELTA_SCHEMA_CHANGED?_.*?(?=Please|=== Streaming Query)", re.S)


class ChangedTables:
    """Decides which queries start again. Spark reads the columns of a source when a query starts, and ends it when they change;
    started again, it continues from its checkpoint. The same change ends it a second time only if it cannot continue."""

    def __init__(self) -> None:
        self._changes: set[tuple[str, str]] = set()  # by query

    def can_continue(self, query: StreamingQuery) -> bool:
        """Whether a query that has ended would continue if it were started again."""
        match = CHANGE.search(str(query.exception()))
        if match is None or (query.name or "", match[0]) in self._changes:
            return False
        self._changes.add((query.name or "", match[0]))
        log.warning("The columns of a table that the query %s reads have changed: it starts again.", query.name)
        return True
