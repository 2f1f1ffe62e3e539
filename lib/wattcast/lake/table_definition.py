"""How a table is defined in Delta, by its contract: columns, properties and rows in its columns. Without Spark."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from wattcast.contracts import Column, Contract
from wattcast.lake.schema_changes import ColumnType, TableShape

RETENTION = "interval 30 days"
CONTRACT_VERSION = "wattcast.contractVersion"  # the property of a table: for which version it was created or migrated
DELTA_TYPES = {
    "STRING": "string", "BOOLEAN": "boolean", "INT": "integer", "BIGINT": "long", "DOUBLE": "double", "TIMESTAMP": "timestamp",
    "DATE": "date", "BINARY": "binary",
}  # fmt: skip
SQL_TYPES = {delta: sql for sql, delta in DELTA_TYPES.items()}


def table_properties(table: Contract) -> dict[str, str]:
    """The Delta properties of a table: whether it is append-only, and how long files stay for slow streams and time travel."""
    return {
        "delta.deletedFileRetentionDuration": RETENTION,
        "delta.logRetentionDuration": RETENTION,
        "delta.appendOnly": "true" if table.properties.get("appendOnly", True) else "false",
    }


def delta_schema(table: Contract) -> str:
    """The columns of a table as the JSON of a Delta log. Arrays are not among the columns that this function knows."""
    fields = [
        {
            "name": column.name,
            "type": DELTA_TYPES[column.physical_type.upper()],
            "nullable": not column.required,
            "metadata": {"comment": _comment(column)},
        }
        for column in table.columns
    ]
    return json.dumps({"type": "struct", "fields": fields})


def table_shape(schema: str, *, id: str, partitioned_by: list[str], configuration: Mapping[str, str]) -> TableShape:
    """The shape of a table by the metadata in its Delta log."""
    types = {
        field["name"]: ColumnType(_sql_type(field["type"]), not field["nullable"])
        for field in json.loads(schema)["fields"]
    }
    return TableShape(id, types, tuple(partitioned_by), configuration.get(CONTRACT_VERSION))


def rows_in_columns(table: Contract, rows: pd.DataFrame) -> pd.DataFrame:
    """Pandas rows in the columns of a table as Python values; a column that `rows` lacks is null."""
    values = rows.reindex(columns=list(table.column_names)).astype(object)
    return values.mask(values.isna(), other=None)


def _comment(column: Column) -> str:
    return f"{column.description} [{column.unit}]" if column.unit else column.description


def _sql_type(delta_type: Any) -> str:
    """A type as SQL writes it; arrays and structs as Delta writes them."""
    return SQL_TYPES.get(delta_type, str(delta_type)) if isinstance(delta_type, str) else json.dumps(delta_type)
