"""Batches of Kafka records under quotas, which need the rows that the lake has already."""

from collections.abc import Callable
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.ingest.quotas import with_quotas
from wattcast.runtime.context import Run

RowsOf = Callable[..., DataFrame]  # `received_rows` of a topic


def rows_within_quotas(run: Run, rows_of: RowsOf, records: DataFrame) -> DataFrame:
    """The rows of a batch of Kafka records that `rows_of` computes, by the quotas of the settings.

    A batch that is repeated after a crash does not count against itself.
    """
    quotas, arrival = run.settings.quotas, F.col("timestamp")
    unit = "day" if quotas.unknown_buildings_per_day else "minute"
    first, last = records.agg(F.date_trunc(unit, F.min(arrival)), F.max(arrival)).collect()[0]
    is_near = F.col("kafka_timestamp").between(F.lit(first), F.lit(last))
    places = records.select(*(F.col(name).alias(f"kafka_{name}") for name in ("topic", "partition", "offset")))
    stored = run.lake.table("received_readings").where(is_near)
    stored = stored.join(places, on=places.columns, how="left_anti")
    buildings = run.lake.table("buildings")
    limited = partial(with_quotas, stored=stored, metadata=buildings, quotas=quotas)
    return rows_of(records, metadata=buildings, limited=limited)
