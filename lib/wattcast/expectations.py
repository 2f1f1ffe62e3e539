"""The data contracts as Great Expectations suites: built from the ODCS files, run on the last days of a table, told as HTML."""

import logging
import os

os.environ["GX_ANALYTICS_ENABLED"] = "false"  # it would phone home; read when it is imported

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
from wattcast.lakehouse import Lakehouse
from wattcast.measures import one_row, together

for name in ("great_expectations", "great_expectations.core"):
    logging.getLogger(name).setLevel(logging.ERROR)

WINDOW_DAYS = 2
# By which time of a table the rows of the window are found; a table that is not here is small and taken whole.
RECENT = {
    "received_readings": "kafka_timestamp", "received_weather_forecasts": "kafka_timestamp", "hourly_usage": "available_at",
    "forecasts": "issued_at", "forecast_scores": "available_at", "health": "as_of", "alerts": "changed_at",
}  # fmt: skip
JUDGED = {"received_readings", "received_weather_forecasts"}  # what a message must fulfil holds for accepted rows
ACCEPTED = "accepted"
BROKEN = Template("SELECT * FROM {batch} WHERE $judged AND NOT ($rule)")  # {batch} is filled in by Great Expectations
TYPES = {"STRING": "StringType", "DOUBLE": "DoubleType", "INT": "IntegerType", "BIGINT": "LongType", "BOOLEAN": "BooleanType",
         "TIMESTAMP": "TimestampType", "BINARY": "BinaryType"}  # fmt: skip


@dataclass(frozen=True)
class Checked:
    """What became of the suite of one table: how many expectations were tried, and in words those that failed."""

    table: str
    rows: int
    tried: int
    failed: tuple[str, ...]


def suite(table: Contract, *, exact_columns: bool = True) -> list[Any]:
    """The expectations of a contract: columns (and, if exact, no others), types, nulls, ranges, enums, patterns, the key, and its
    rules in SQL."""
    made: list[Any] = [gxe.ExpectTableColumnsToMatchSet(column_set=list(table.column_names), exact_match=exact_columns)]
    for column in table.columns:
        made += _of_column(column, condition=_condition(table, column))
    if table.key:
        made.append(gxe.ExpectCompoundColumnsToBeUnique(column_list=list(table.key)) if len(table.key) > 1
                    else gxe.ExpectColumnValuesToBeUnique(column=table.key[0]))  # fmt: skip
    judged = ACCEPTED if table.name in JUDGED else "true"
    for name, sql in table.rules.items():
        query = BROKEN.substitute(judged=judged, rule=sql)
        made.append(gxe.UnexpectedRowsExpectation(unexpected_rows_query=query, description=name))
    return made


def check(lake: Lakehouse, *, as_of: datetime, names: Sequence[str] = (), docs: Path | None = None) -> list[Checked]:
    """Run the suites on what came in WINDOW_DAYS before `as_of`, and write the Data Docs (HTML) into a folder, by default
    data-docs in the state folder."""
    folder = docs or lake.settings.state.resolve() / "data-docs"
    context = gx.get_context(mode="ephemeral")
    context.add_data_docs_site("contracts", {
        "class_name": "SiteBuilder",
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
    })  # fmt: skip
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_spark("lake", persist=False)
    found = [_checked(context, source, table, _window(lake, table, as_of))
             for table in tables() if not names or table.name in names]  # fmt: skip
    context.build_data_docs()
    return found


def failures(results: Sequence[Checked]) -> pd.DataFrame:
    """As measurements: `contract_failures` by table."""
    return together([
        one_row("contract_failures", "table", each.table, len(each.failed), each.tried, "; ".join(each.failed)[:2000])
        for each in results
    ])  # fmt: skip


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


def _condition(table: Contract, column: Column) -> dict[str, str]:
    """Of a ledger the limits of the messages hold for accepted rows alone."""
    if table.name not in JUDGED or column.required:
        return {}
    return {"row_condition": f"{ACCEPTED} == true", "condition_parser": "spark"}


def _window(lake: Lakehouse, table: Contract, as_of: datetime) -> DataFrame:
    rows = lake.table(table.name)
    if table.name in RECENT:
        rows = rows.where(F.col(RECENT[table.name]) > F.lit(as_of - timedelta(days=WINDOW_DAYS)))
    if "energy_usage_kwh.negative" in table.rules:  # it speaks of the metadata
        known = lake.table("buildings").select("building_id", "allows_negative_energy")
        rows = rows.join(F.broadcast(known), on="building_id", how="left")
    return rows


def _checked(context: Any, source: Any, table: Contract, rows: DataFrame) -> Checked:
    kept = rows.persist()
    try:
        joined = [name for name in kept.columns if name not in table.column_names]
        expectations = suite(table, exact_columns=not joined)
        made = context.suites.add(gx.ExpectationSuite(name=table.name, expectations=expectations))
        batch = source.add_dataframe_asset(table.name).add_batch_definition_whole_dataframe("window")
        definition = context.validation_definitions.add(
            gx.ValidationDefinition(name=table.name, data=batch, suite=made)
        )
        result = definition.run(batch_parameters={"dataframe": kept})
        failed = tuple(_said(each) for each in result.results if not each.success)
        return Checked(table.name, kept.count(), len(result.results), failed)
    finally:
        kept.unpersist()


def _said(result: Any) -> str:
    about = result.expectation_config
    what = about.description or f"{about.type.removeprefix('expect_')} {about.kwargs.get('column', '')}".strip()
    if result.exception_info and (errors := [each.get("exception_message") for each in _infos(result.exception_info)]):
        return f"{what}: {next(filter(None, errors), '')[:200]}" if any(errors) else what
    count = result.result.get("unexpected_count")
    return f"{what}: {count} rows" if count else str(what)


def _infos(info: Any) -> list[dict[str, Any]]:
    return [info] if "raised_exception" in info else [each for each in info.values() if isinstance(each, dict)]
