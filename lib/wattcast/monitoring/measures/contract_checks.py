"""Tables checked against their data contracts: Great Expectations over the last days of a table, with an HTML report."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import Column, Contract, tables
from wattcast.lake.tables import LakeTables
from wattcast.measurements import combined, measurement_row

WINDOW_DAYS = 2
# The time column that selects the window of a table; a table that is not here is small and checked as a whole.
TIME_COLUMNS = {
    "received_readings": "kafka_timestamp", "received_weather_forecasts": "kafka_timestamp", "hourly_usage": "available_at",
    "forecasts": "issued_at", "forecast_scores": "available_at", "health": "as_of", "alerts": "changed_at",
}  # fmt: skip
LEDGERS = {
    "received_readings",
    "received_weather_forecasts",
}  # only their accepted rows fulfil the contract of the message
ACCEPTED = "accepted"
# {batch} is filled in by Great Expectations.
BROKEN_ROWS = Template("SELECT * FROM {batch} WHERE $is_checked AND NOT ($rule)")
TYPES = {"STRING": "StringType", "DOUBLE": "DoubleType", "INT": "IntegerType", "BIGINT": "LongType", "BOOLEAN": "BooleanType",
         "TIMESTAMP": "TimestampType", "BINARY": "BinaryType"}  # fmt: skip
MAX_DETAILS = 2000  # characters


@dataclass(frozen=True)
class TableCheck:
    """The result for one table: how many rows and expectations were checked, and a text for each expectation that failed."""

    table: str
    rows: int
    tried: int
    failed: tuple[str, ...]


def contract_expectations(table: Contract, *, exact_columns: bool = True) -> list[Any]:
    """The expectations of a contract: columns (and, if exact, no others), types, nulls, ranges, enums, patterns, the key, and its
    rules in SQL."""
    columns = gxe.ExpectTableColumnsToMatchSet(column_set=list(table.column_names), exact_match=exact_columns)
    expectations: list[Any] = [columns]
    for column in table.columns:
        expectations += _of_column(column, condition=_row_condition(table, column))
    if len(table.key) > 1:
        expectations.append(gxe.ExpectCompoundColumnsToBeUnique(column_list=list(table.key)))
    elif table.key:
        expectations.append(gxe.ExpectColumnValuesToBeUnique(column=table.key[0]))
    is_checked = ACCEPTED if table.name in LEDGERS else "true"
    for name, sql in table.rules.items():
        query = BROKEN_ROWS.substitute(is_checked=is_checked, rule=sql)
        expectations.append(gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description=name))
    return expectations


def check_tables(
    lake: LakeTables, *, as_of: datetime, names: Sequence[str] = (), docs: Path | None = None
) -> list[TableCheck]:
    """Check all tables, or those with these names, on the rows of WINDOW_DAYS before `as_of`; write the report (Data Docs, HTML)
    into a folder, by default data-docs in the state folder."""
    context = data_context(docs or lake.settings.state.resolve() / "data-docs")
    source = context.data_sources.add_spark("lake", persist=False)
    selected = [table for table in tables() if not names or table.name in names]
    checks = [_table_check(context, source, table, _window(lake, table, as_of)) for table in selected]
    context.build_data_docs()
    return checks


def failure_measurements(checks: Sequence[TableCheck]) -> pd.DataFrame:
    """`contract_failures` by table, as measurements."""
    return combined([
        measurement_row(
            "contract_failures", "table", check.table, len(check.failed), check.tried, "; ".join(check.failed)[:MAX_DETAILS]
        )
        for check in checks
    ])  # fmt: skip


def data_context(docs: Path) -> Any:
    """A context of Great Expectations in memory that writes Data Docs into a folder and sends no usage statistics."""
    for name in ("great_expectations", "great_expectations.core"):
        logging.getLogger(name).setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    context.add_data_docs_site("contracts", {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)},
    })  # fmt: skip
    return context


def _of_column(column: Column, condition: dict[str, str]) -> Iterator[Any]:
    name, limits = column.name, column.limits
    if kind := TYPES.get(column.physical_type):
        yield gxe.ExpectColumnValuesToBeOfType(column=name, type_=kind)
    if column.required:
        yield gxe.ExpectColumnValuesToNotBeNull(column=name)
    if column.logical_type in ("number", "integer") and {"minimum", "maximum"} & set(limits):
        yield gxe.ExpectColumnValuesToBeBetween(
            column=name, min_value=limits.get("minimum"), max_value=limits.get("maximum"), **condition
        )
    if "enum" in limits:
        yield gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(limits["enum"]), **condition)
    if "pattern" in limits:
        yield gxe.ExpectColumnValuesToMatchRegex(column=name, regex=limits["pattern"], **condition)
    if "minLength" in limits or "maxLength" in limits:
        yield gxe.ExpectColumnValueLengthsToBeBetween(
            column=name, min_value=limits.get("minLength"), max_value=limits.get("maxLength"), **condition
        )


def _row_condition(table: Contract, column: Column) -> dict[str, str]:
    """In a ledger the limits of message fields hold for accepted rows only."""
    if table.name not in LEDGERS or column.required:
        return {}
    return {"row_condition": f"{ACCEPTED} == true", "condition_parser": "spark"}


def _window(lake: LakeTables, table: Contract, as_of: datetime) -> DataFrame:
    rows = lake.table(table.name)
    if table.name in TIME_COLUMNS:
        rows = rows.where(F.col(TIME_COLUMNS[table.name]) > F.lit(as_of - timedelta(days=WINDOW_DAYS)))
    if "energy_usage_kwh.negative" in table.rules:  # this rule reads the metadata of the building
        metadata = lake.table("buildings").select("building_id", "allows_negative_energy")
        rows = rows.join(F.broadcast(metadata), on="building_id", how="left")
    return rows


def _table_check(context: Any, source: Any, table: Contract, rows: DataFrame) -> TableCheck:
    persisted = rows.persist()
    try:
        has_joined_columns = any(name not in table.column_names for name in persisted.columns)
        expectations = contract_expectations(table, exact_columns=not has_joined_columns)
        suite = context.suites.add(gx.ExpectationSuite(name=table.name, expectations=expectations))
        batch = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("window")
        definition = gx.ValidationDefinition(name=table.name, data=batch, suite=suite)
        results = context.validation_definitions.add(definition).run(batch_parameters={"dataframe": persisted}).results
        failed = tuple(_failure_text(result) for result in results if not result.success)
        return TableCheck(table.name, persisted.count(), len(results), failed)
    finally:
        persisted.unpersist()


def _failure_text(result: Any) -> str:
    """The name of the rule, or the expectation and its column, with the error or the number of unexpected rows."""
    config = result.expectation_config
    name = config.description or f"{config.type.removeprefix('expect_')} {config.kwargs.get('column', '')}".strip()
    if errors := [text for text in _exception_messages(result.exception_info) if text]:
        return f"{name}: {errors[0][:200]}"
    count = result.result.get("unexpected_count")
    return f"{name}: {count} rows" if count else str(name)


def _exception_messages(info: dict[str, Any] | None) -> list[str]:
    """Of one exception, or of one by metric."""
    if not info:
        return []
    exceptions = [info] if "raised_exception" in info else [part for part in info.values() if isinstance(part, dict)]
    return [str(exception.get("exception_message") or "") for exception in exceptions]
