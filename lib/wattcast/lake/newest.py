"""The newest row per key, as a DataFrame; the views in `views.py` have the same in SQL."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window as W


def newest_rows(rows: DataFrame, *, key: Sequence[str], order: Sequence[Column]) -> DataFrame:
    """The first row of each key in `order`, such as `[F.col("available_at").desc()]`."""
    recency = F.row_number().over(W.partitionBy(*key).orderBy(*order))
    return rows.withColumn("recency", recency).where(F.col("recency") == 1).drop("recency")
