"""DuckDB and Spark give the same rows, names and texts for every view and for what plain queries may contain."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.documentation import queries
from tests.test_sql_guide import QUERIES, fill

from wattcast.contracts import tables
from wattcast.lake.plain_sql import NotPlain
from wattcast.lake.views import VIEWS, register_views
from wattcast.runtime.context import Run
from wattcast.settings import settings
from wattcast.terminal.duckdb_query import duckdb_rows
from wattcast.terminal.query_output import QueryRows
from wattcast.terminal.spark_query import SparkRows

BINARY = ("received_readings", "received_weather_forecasts")  # their payloads are for Spark
WHOLE = [f"SELECT * FROM {name}" for name in sorted({*VIEWS, *(table.name for table in tables())} - {*BINARY})]
PLAIN = [
    "SELECT count(*), count(coverage), sum(revision), avg(energy_usage_kwh), min(hour), max(building_id) FROM hourly_usage",
    "SELECT building_id, coverage FROM hourly_usage ORDER BY coverage, building_id, hour, revision LIMIT 20",
    "SELECT site, building_id FROM buildings ORDER BY site DESC, building_id DESC",
    "SELECT hour FROM hourly_usage WHERE hour >= TIMESTAMP '2026-03-10 12:00:00' - INTERVAL 7 DAYS",
    "SELECT hour FROM hourly_usage WHERE hour < DATE '2026-03-09'",
    "SELECT hour FROM hourly_usage WHERE hour = '2026-03-09' OR hour = '2026-03-10 05:00:00' OR hour = '2026-03-11T05:00:00Z'",
    "SELECT building_id, count(*) AS n FROM hourly_usage GROUP BY ALL HAVING count(*) > 1",
    "SELECT building_id, revision, count(*) AS n FROM hourly_usage GROUP BY 1, 2 ORDER BY 1 DESC, 2",
    "SELECT DISTINCT date(hour) AS day, hour(hour) AS h, year(hour) AS y, month(hour) AS m, day(hour) AS d FROM hourly_usage",
    "SELECT count_if(coalesce(coverage, 1) >= 0.95) / 24 AS share, count(DISTINCT building_id) AS n FROM hourly_usage",
    "SELECT revision + 1 AS a, -revision AS b, revision * 2 - 1 AS c, revision / 3 AS d FROM hourly_usage",
    "SELECT energy_usage_kwh / nullif(readings_seen, 0) AS a, abs(energy_usage_kwh * -1) AS b FROM hourly_usage",
    "SELECT sqrt(energy_usage_kwh) AS a, energy_usage_kwh * energy_usage_kwh AS b FROM hourly_usage",
    "SELECT building_id FROM buildings WHERE building_id LIKE 'sim%1' OR building_id NOT LIKE '%sim_000_'",
    "SELECT building_id FROM buildings WHERE building_id IN ('sim_0001', 'x') AND site IS NOT NULL AND NOT (country = 'GB')",
    "SELECT building_id FROM buildings WHERE country IS NULL OR country NOT IN ('GB', 'DE')",
    "SELECT b.building_id, u.hour FROM buildings b LEFT JOIN hourly_usage u ON u.building_id = b.building_id AND u.revision = 2",
    "SELECT b.building_id, c.site FROM buildings b, buildings c WHERE b.building_id < c.building_id",
    "SELECT building_id FROM buildings b WHERE EXISTS (SELECT 1 FROM hourly_usage u WHERE u.building_id = b.building_id)",
    "SELECT building_id FROM buildings WHERE building_id NOT IN (SELECT building_id FROM hourly_usage WHERE revision = 2)",
    "WITH c AS (SELECT building_id, max(hour) AS newest FROM hourly_usage GROUP BY building_id) SELECT * FROM c",
    "SELECT x.n FROM (SELECT count(*) AS n FROM hourly_usage WHERE revision BETWEEN 2 AND 3) x WHERE x.n IS DISTINCT FROM 0",
    "SELECT sum(energy_usage_kwh) FILTER (WHERE revision > 1) AS s FROM hourly_usage",
    "SELECT method, warnings, count(*) AS n FROM forecasts GROUP BY method, warnings",
    "SELECT 1",
    "SELECT -1",
    "SELECT 'it''s' AS a, NULL AS b, true AS c, TIMESTAMP '2026-01-01 10:00:00.5' AS d",
    "SELECT DATE '2026-01-01' AS day",
]  # fmt: skip


@pytest.fixture(scope="module")
def lake(new_run: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    own = settings().model_copy(update={"state": tmp_path_factory.mktemp("engines")})
    run = new_run(own, once=True)
    fill(run)
    register_views(run.lake)
    yield run
    run.close()


def canonical(value: Any) -> Any:
    """A value with 9 decimal places: the order of a sum changes the last digits, in each engine."""
    if isinstance(value, list):
        return [canonical(item) for item in value]
    return str(round(value, 9) + 0.0) if isinstance(value, float) else value


def objects(rows: QueryRows) -> list[str]:
    """The rows in an order of their own, as texts."""
    parsed = [json.loads(line) for line in rows.json_objects(None)]
    return sorted(json.dumps({name: canonical(value) for name, value in row.items()}) for row in parsed)


@pytest.mark.parametrize("query", [*WHOLE, *PLAIN], ids=lambda query: query[:60])
def test_rows_and_names_are_the_same(lake: Run, query: str) -> None:
    spark = SparkRows(lake.spark.sql(query))
    with duckdb_rows(query, lake.settings.lake_uri) as rows:
        assert rows.names == spark.names
        assert objects(rows) == objects(spark)


@pytest.mark.parametrize("view", ["hourly_usage_latest", "forecast_hours", "open_alerts", "readings", "buildings"])
def test_texts_are_the_same(lake: Run, view: str) -> None:
    query = f"SELECT * FROM {view}"
    with duckdb_rows(query, lake.settings.lake_uri) as rows:
        assert sorted(map(str, map(list, rows.texts(None)))) == sorted(
            map(str, map(list, SparkRows(lake.spark.sql(query)).texts(None)))
        )


def test_queries_of_the_documentation_are_mostly_plain_and_have_the_same_rows(lake: Run) -> None:
    plain = 0
    for query in (*QUERIES, *queries()):
        try:
            with duckdb_rows(query, lake.settings.lake_uri) as rows:
                assert objects(rows) == objects(SparkRows(lake.spark.sql(query))), query
        except NotPlain:
            continue
        plain += 1
    assert plain > len((*QUERIES, *queries())) / 2
