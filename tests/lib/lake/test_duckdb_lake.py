"""Queries of a lake by DuckDB, without Spark, and what its connection refuses."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from wattcast.cli.benchmarks.serving_lake import append, write_lake
from wattcast.lake.duckdb_lake import CLOSED, UnknownTable, close, plain_answer, view_of_duckdb
from wattcast.lake.plain_sql import NotPlain
from wattcast.lake.views import VIEWS

START, HOUR = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two buildings and three hours, the newest of which was corrected, and a rejected record."""
    folder = tmp_path_factory.mktemp("plain") / "lake"
    write_lake(folder, ["a", "b"], START, 3)
    append(folder, "hourly_usage", 1, building_id="a", hour=START + HOUR, available_at=START + 9 * HOUR, revision=2,
           energy_usage_kwh=99.0)  # fmt: skip
    append(folder, "received_readings", 1, accepted=False, rejected_for=[["not_json"]], raw_payload=b"\xc3\xa9 {",
           kafka_topic="readings", kafka_partition=0, kafka_offset=7, kafka_timestamp=START)  # fmt: skip
    for name in ("received_weather_forecasts", "erasures"):
        append(folder, name, 0)
    return str(folder)


def rows(query: str, lake: str) -> list[tuple[Any, ...]]:
    with plain_answer(query, lake) as answer:
        return [tuple(row.values()) for batch in answer.batches for row in batch.to_pylist()]


def test_views_show_the_newest_revision_and_one_row_per_forecast_hour(lake: str) -> None:
    newest = "SELECT hour, revision, energy_usage_kwh FROM hourly_usage_latest WHERE building_id = 'a' AND revision > 1"
    assert rows(newest, lake) == [(START + HOUR, 2, 99.0)]
    assert rows("SELECT count(*) FROM hourly_usage_latest", lake) == [(6,)]
    hours = rows("SELECT lead_hours, target_hour, origin FROM forecast_hours ORDER BY origin, lead_hours", lake)
    assert [lead for lead, _, _ in hours] == [lead for _ in range(3) for lead in range(1, 25) for _ in "ab"]
    assert all(target == origin + (lead - 1) * HOUR for lead, target, origin in hours)


def test_values_of_a_forecast_hour_are_those_of_its_place_in_the_arrays(lake: str) -> None:
    arrays = rows("SELECT p10_kwh, p50_kwh, p90_kwh FROM forecasts ORDER BY forecast_id", lake)
    in_view = rows("SELECT p10_kwh, p50_kwh, p90_kwh FROM forecast_hours ORDER BY forecast_id, lead_hours", lake)
    assert in_view == [values for forecast in arrays for values in zip(*forecast, strict=True)]


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_can_be_queried(view: str, lake: str) -> None:
    with plain_answer(f"SELECT * FROM {view}", lake) as answer:
        assert len(answer.names) > 3
        assert sum(map(len, answer.batches)) > (-1 if view == "weather_forecasts" else 0)
    assert "EXCEPT" not in view_of_duckdb(view)


def test_nulls_are_first_in_ascending_order_as_in_spark(lake: str) -> None:
    query = "SELECT coverage FROM hourly_usage ORDER BY coverage"
    assert rows(f"{query} LIMIT 1", lake) == rows(f"{query} DESC LIMIT 1 OFFSET 6", lake) == [(None,)]


def test_columns_have_the_names_of_spark(lake: str) -> None:
    with plain_answer(
        "SELECT count(*), max(hour), sum(revision), building_id FROM hourly_usage GROUP BY ALL", lake
    ) as answer:
        assert answer.names == ["count(1)", "max(hour)", "sum(revision)", "building_id"]


def test_payload_of_a_rejected_record_is_its_text(lake: str) -> None:
    assert rows("SELECT payload FROM rejected_readings WHERE kafka_offset = 7", lake) == [("é {",)]


def test_payload_that_is_no_utf8_is_for_spark(lake: str, tmp_path: Path) -> None:
    folder = tmp_path / "lake"
    append(folder, "received_readings", 1, accepted=False, rejected_for=[["not_json"]], raw_payload=b"\xff\xfe")
    with pytest.raises(NotPlain, match="DuckDB"):
        rows("SELECT payload FROM rejected_readings", str(folder))


def test_unknown_table_is_named(lake: str) -> None:
    with pytest.raises(UnknownTable, match=r"^meters$"):
        rows("SELECT * FROM Meters", lake)


def test_table_that_does_not_exist_yet_is_for_spark(tmp_path: Path) -> None:
    with pytest.raises(NotPlain, match="The table alerts of the lake cannot be read"):
        rows("SELECT * FROM open_alerts", str(tmp_path))


def test_table_with_an_empty_commit_is_for_spark(tmp_path: Path) -> None:
    append(tmp_path, "alerts", 1, alert_id="1")
    (tmp_path / "alerts" / "_delta_log" / f"{1:020}.json").touch()
    with pytest.raises(NotPlain, match=r"alerts is damaged: .*00001\.json is empty"):
        rows("SELECT * FROM alerts", str(tmp_path))


@pytest.mark.parametrize("query", ["SELECT sum(building_id) FROM hourly_usage", "SELECT raw_payload FROM received_readings",
                                   "SELECT building_id, building_id FROM buildings"])  # fmt: skip
def test_what_duckdb_refuses_or_types_otherwise_is_for_spark(query: str, lake: str) -> None:
    with pytest.raises(NotPlain):
        rows(query, lake)


@pytest.fixture
def closed_connection() -> duckdb.DuckDBPyConnection:
    """A connection as queries get it."""
    connection = duckdb.connect(":memory:", config=CLOSED)
    close(connection)
    return connection


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("SELECT * FROM read_csv('{file}')", "disabled by configuration"),
        ("SELECT * FROM read_text('{file}')", "disabled by configuration"),
        ("SELECT * FROM read_parquet('{file}')", "disabled by configuration"),
        ("SELECT * FROM read_json('{file}')", "disabled by configuration"),
        ("SELECT * FROM glob('/*')", "disabled by configuration"),
        ("SELECT * FROM '{file}'", "does not exist|disabled by configuration"),
        ("SELECT * FROM delta_scan('{file}')", "is not in the catalog"),
        ("COPY (SELECT 1) TO '{file}.copy'", "disabled by configuration"),
        ("EXPORT DATABASE '{file}.export'", "disabled by configuration"),
        ("ATTACH '{file}.db'", "disabled by configuration"),
        ("INSTALL httpfs", "disabled|operations"),
        ("LOAD httpfs", "disabled"),
        ("SET enable_external_access = true", "locked"),
        ("SET allowed_directories = ['/']", "locked"),
        ("SET python_enable_replacements = true", "locked"),
        ("SET TimeZone = 'Europe/London'", "locked"),
        ("SET lock_configuration = false", "locked"),
        ("RESET lock_configuration", "locked"),
        ("SELECT getenv('HOME')", "does not exist"),
        ("SELECT * FROM secret_frame", "does not exist"),
    ],
)
def test_connection_reads_no_file_no_variable_and_takes_no_setting(
    statement: str, reason: str, closed_connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    import pandas as pd

    secret_frame = pd.DataFrame({"secret": ["hidden"]})
    file = tmp_path / "file.csv"
    file.write_text("secret\nhidden\n")
    with pytest.raises(duckdb.Error, match=reason):
        closed_connection.execute(statement.format(file=file)).fetchall()
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]
    assert len(secret_frame) == 1


def test_answer_needs_neither_spark_nor_torch(lake: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom wattcast.cli.main import main\nsys.argv = ['wattcast', 'sql', '--csv', sys.argv[1]]\n"
        "try:\n    main()\nfinally:\n    print(*({'torch', 'pyspark', 'kafka'} & {*sys.modules}), file=sys.stderr)"
    )
    query = "SELECT building_id, hour, energy_usage_kwh FROM hourly_usage_latest WHERE revision = 2"
    variables = os.environ | {"WATTCAST_LAKE": lake, "WATTCAST_STATE": str(tmp_path), "JAVA_HOME": "/none"}
    done = subprocess.run([sys.executable, "-c", code, query], capture_output=True, text=True, env=variables)
    assert (done.returncode, done.stderr) == (0, "\n")
    assert done.stdout == "building_id,hour,energy_usage_kwh\na,2026-01-01 01:00:00,99.0\n"
