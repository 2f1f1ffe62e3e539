"""Which queries DuckDB may answer: those that mean the same to Spark."""

import json

import duckdb
import pytest

from wattcast.lake.plain_sql import NotPlain, check_text, check_tree, select_node, table_names

COLUMNS = {"building_id", "hour", "energy_usage_kwh", "coverage", "revision", "p50_kwh", "quality_flags"}
TABLES = {"hourly_usage", "forecasts", "buildings", "accuracy_by_day"}


def check(query: str) -> None:
    """Raise NotPlain unless the query is plain."""
    check_text(query)
    row = duckdb.connect(":memory:").execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    check_tree(select_node(json.loads(row[0] if row else "")), tables=TABLES, columns=COLUMNS)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM hourly_usage",
        "select count(*), max(hour), sum(energy_usage_kwh) from hourly_usage",
        "SELECT u.* FROM hourly_usage u WHERE u.building_id = 'sim_0001' AND coverage >= 0.95",
        "SELECT u.hour FROM hourly_usage u ORDER BY u.hour DESC NULLS LAST LIMIT 5 OFFSET 1",
        "SELECT building_id, avg(abs(energy_usage_kwh)) AS mean FROM hourly_usage GROUP BY building_id HAVING count(*) > 1",
        "SELECT building_id FROM hourly_usage WHERE hour >= TIMESTAMP '2026-01-01 00:00:00' - INTERVAL 7 DAYS",
        "SELECT building_id FROM hourly_usage WHERE hour < (SELECT max(hour) FROM hourly_usage) - INTERVAL 24 HOURS",
        "SELECT building_id FROM buildings WHERE building_id NOT IN (SELECT building_id FROM hourly_usage)",
        "WITH last AS (SELECT building_id, max(hour) AS newest FROM hourly_usage GROUP BY ALL) SELECT newest FROM last",
        "SELECT count_if(coalesce(coverage, 1) >= 1) / 24 AS share FROM hourly_usage WHERE building_id LIKE 'sim%'",
        "SELECT a.hour FROM hourly_usage a LEFT JOIN forecasts f ON f.building_id = a.building_id, buildings b",
        "SELECT sum(energy_usage_kwh) / nullif(count(coverage), 0) AS mean FROM hourly_usage WHERE hour IS NOT NULL",
        "SELECT DISTINCT date(hour) AS day, hour(hour) AS hour_of_day FROM hourly_usage WHERE revision BETWEEN 1 AND 3",
        "SELECT count(*) FILTER (WHERE revision > 1) AS corrected FROM hourly_usage;",
        "SELECT 1",
    ],
)
def test_query_that_both_read_alike_is_plain(query: str) -> None:
    check(query)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        # statements and texts
        ("SHOW TABLES", "no SELECT"),
        ("DROP TABLE hourly_usage", "no SELECT"),
        ("SET x = 1", "no SELECT"),
        ("FROM hourly_usage", "no SELECT"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELEC 1", "no SELECT"),
        ('SELECT "hour" FROM hourly_usage', 'contains "'),
        ("SELECT `hour` FROM hourly_usage", "contains `"),
        ("SELECT '${env:HOME}' AS x", r"contains \$"),
        (r"SELECT 'a\n' AS x", r"contains \\"),
        ("SELECT 1L", "contains 1L"),
        ("SELECT 1 -- one", "contains --"),
        ("SELECT 1 /* one */", r"contains /\*"),
        ("SELECT 1e3 AS x", "contains 1e"),
        # files, functions of tables, settings
        ("SELECT * FROM '/etc/passwd'", "reads /etc/passwd"),
        ("SELECT * FROM read_csv('/etc/passwd')", "TABLE_FUNCTION"),
        ("SELECT * FROM read_text('/etc/passwd')", "TABLE_FUNCTION"),
        ("SELECT * FROM glob('/*')", "TABLE_FUNCTION"),
        ("SELECT * FROM duckdb_settings()", "TABLE_FUNCTION"),
        ("SELECT * FROM range(3)", "TABLE_FUNCTION"),
        ("SELECT getenv('HOME') AS x", "getenv"),
        ("SELECT current_setting('threads') AS x", "current_setting"),
        ("SELECT * FROM information_schema.tables", "schema_name of BASE_TABLE"),
        ("SELECT * FROM meters", "reads meters"),
        ("SELECT (SELECT count(*) FROM read_csv('x')) AS x", "TABLE_FUNCTION"),
        ("WITH x AS (SELECT * FROM read_csv('x')) SELECT * FROM x", "TABLE_FUNCTION"),
        ("SELECT 1 AS x WHERE EXISTS (SELECT * FROM read_csv('x'))", "TABLE_FUNCTION"),
        ("SELECT * FROM (SELECT * FROM 'x.parquet') y", "reads x.parquet"),
        # other meaning, precision or names
        ("SELECT p50_kwh[0] AS x FROM forecasts", "ARRAY_EXTRACT"),
        ("SELECT CAST(coverage AS INT) AS x FROM hourly_usage", "casts to"),
        ("SELECT log(coverage) AS x FROM hourly_usage", "uses log"),
        ("SELECT concat(building_id, 'x') AS x FROM buildings", "concat"),
        ("SELECT 1 / coverage AS x FROM hourly_usage", "may be zero"),
        ("SELECT 1 / 0 AS x", "may be zero"),
        ("SELECT count(*) * 1.5 AS x FROM hourly_usage", "decimal number"),
        ("SELECT sum(1.5) AS x FROM buildings", "decimal number"),
        ("SELECT abs(coverage) FROM hourly_usage", "no alias"),
        ("SELECT sum(u.coverage) FROM hourly_usage u", "no alias"),
        ("SELECT * FROM (SELECT count(*) FROM buildings) x", "no alias"),
        ("SELECT abs(hour) AS hour FROM hourly_usage", "alias hour"),
        ("SELECT date(hour) - INTERVAL 1 DAY AS x FROM hourly_usage", "computes with dates"),
        ("SELECT max(hour) - min(hour) AS x FROM accuracy_by_day", "computes with dates"),
        ("SELECT x FROM hourly_usage", "names x"),
        ("SELECT current_date FROM hourly_usage", "names current_date"),
        ("SELECT Hour FROM hourly_usage", "names Hour"),
        ("SELECT hourly_usage FROM hourly_usage", "names hourly_usage"),
        ("SELECT row_number() OVER (ORDER BY hour) AS x FROM hourly_usage", "WINDOW"),
        ("SELECT * EXCLUDE (hour) FROM hourly_usage", "exclude_list"),
        ("SELECT COLUMNS('h') FROM hourly_usage", "of STAR"),
        ("SELECT 1 AS x UNION SELECT 2", "SET_OPERATION"),
        ("SELECT hour FROM hourly_usage GROUP BY ROLLUP(hour)", "grouping sets"),
        ("SELECT hour FROM hourly_usage QUALIFY true", "qualify"),
        ("SELECT * FROM hourly_usage USING SAMPLE 5", "sample"),
        ("SELECT * FROM hourly_usage LIMIT 5%", "LIMIT"),
        ("SELECT * FROM hourly_usage LIMIT 1 + 1", "LIMIT"),
        ("SELECT * FROM hourly_usage ORDER BY ALL", "orders by all columns"),
        ("SELECT DISTINCT ON (hour) * FROM hourly_usage", "distinct_on_targets"),
        ("SELECT * FROM hourly_usage a JOIN forecasts b USING (building_id)", r"\* of a join by USING"),
        ("SELECT a.hour FROM hourly_usage a NATURAL JOIN forecasts b", "NATURAL"),
        ("SELECT a.hour FROM hourly_usage a FULL JOIN forecasts b USING (building_id)", "OUTER|FULL"),
        ("SELECT a.hour FROM hourly_usage a SEMI JOIN forecasts b USING (building_id)", "SEMI"),
        ("SELECT x.y FROM hourly_usage AS x(y)", "column_name_alias"),
        ("WITH buildings AS (SELECT 1 AS hour) SELECT hour FROM buildings", "as a table is named"),
        ("SELECT CASE WHEN revision > 1 THEN 1 ELSE 'x' END AS x FROM hourly_usage", "uses CASE"),
        ("SELECT building_id || 'x' AS x FROM buildings", r"uses \|\|"),
        ("SELECT x'41' AS x", "contains|kind HEX"),
        ("SELECT sum(coverage ORDER BY hour) AS x FROM hourly_usage", "orders the rows"),
        ("SELECT hour FROM hourly_usage WHERE hour > CAST('today' AS TIMESTAMP)", "casts to TIMESTAMP"),
        ("SELECT max(hour, 3) AS x FROM hourly_usage", "2 arguments"),
        (
            "SELECT hour FROM hourly_usage WHERE hour > TIMESTAMP '2026-01-01' - to_days(revision)",
            "interval is computed",
        ),
    ],
)
def test_query_that_differs_or_reads_anything_else_is_for_spark(query: str, reason: str) -> None:
    with pytest.raises(NotPlain, match=reason):
        check(query)


def test_names_of_with_clauses_are_no_tables() -> None:
    query = "WITH last AS (SELECT * FROM hourly_usage) SELECT * FROM last JOIN Buildings USING (building_id)"
    row = duckdb.connect(":memory:").execute("SELECT json_serialize_sql(?)", [query]).fetchone()
    assert table_names(select_node(json.loads(row[0] if row else ""))) == {"hourly_usage", "buildings"}
