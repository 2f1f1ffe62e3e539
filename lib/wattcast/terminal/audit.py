"""`wattcast audit`: by DuckDB where that is enough, else by Spark."""

import logging

from wattcast.ingest.audit import PartitionAudit, audit, audit_without_spark
from wattcast.ingest.ledger import NeedsSpark
from wattcast.settings import settings

log = logging.getLogger("wattcast.audit.engine")


def audited_partitions(*, recheck: bool) -> list[PartitionAudit]:
    """The audit of both received topics; to check the records again by today's rules, Spark is needed."""
    if not recheck:
        try:
            return audit_without_spark(settings())
        except NeedsSpark as reason:
            log.info("Spark audits, which takes longer: %s.", reason)
    from wattcast.lake.migration import inspect_tables
    from wattcast.runtime.context import opened

    with opened(name="audit", prepare=inspect_tables) as run:
        return audit(run, recheck=recheck)
