"""Rewrites a table with other types of columns, in one commit of Delta.

Delta's type widening would need no rewriting, but delta-rs, with which the API reads and `wattcast retrain` writes, does not
support it, nor what remains of it after it was dropped. Overwriting a table by a DataFrame drops NOT NULL.
"""

import json
from collections.abc import Sequence
from typing import Any

from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from wattcast.contracts import Contract
from wattcast.lake.maintenance import deletable
from wattcast.lake.tables import LakeTables

OPERATION = "org.apache.spark.sql.delta.DeltaOperations$ManualUpdate$"


def rewrite(lake: LakeTables, table: Contract, columns: Sequence[str]) -> None:
    """Give columns of a table the types of its contract, which must hold all their values. The caller holds the write lock.

    Readers see the table as before or as after the commit. Properties, comments and transaction numbers stay. A stream does not
    continue over the commit.
    """
    jvm: Any = lake.spark._jvm
    none, converters = jvm.scala.Option.empty(), jvm.scala.jdk.javaapi.CollectionConverters
    with deletable(lake, table.name):
        transaction = lake.delta_log(table.name).startTransaction(none, none)
        schema = _with_types_of(table, transaction.metadata(), columns)
        transaction.updateMetadataForTableOverwrite(_with_schema(transaction.metadata(), schema))
        rows = lake.snapshot(table.name).frame
        added = transaction.writeFiles(rows.select(*(F.col(field.name).cast(field.dataType) for field in schema))._jdf)
        removed = jvm.java.util.ArrayList()
        for file in transaction.snapshot().allFiles().collectAsList():
            removed.append(file.remove())
        operation = getattr(getattr(jvm, OPERATION), "MODULE$")
        transaction.commit(converters.asScala(removed).toSeq().appendedAll(added), operation)


def _with_types_of(table: Contract, metadata: Any, columns: Sequence[str]) -> StructType:
    """The schema of a table in which some columns have the types of the contract."""
    schema, declared = StructType.fromJson(json.loads(metadata.schemaString())), table.schema
    for name in columns:
        schema[name].dataType, schema[name].nullable = declared[name].dataType, declared[name].nullable
    return schema


def _with_schema(metadata: Any, schema: StructType) -> Any:
    """A copy of Delta's metadata of a table with another schema."""
    return metadata.copy(
        metadata.id(), metadata.name(), metadata.description(), metadata.format(), schema.json(),
        metadata.partitionColumns(), metadata.configuration(), metadata.createdTime(),
    )  # fmt: skip
