"""`wattcast sql` answers plain queries without Spark, in each form of output."""

from pathlib import Path

import pytest
from tests.commands import Wattcast

from wattcast.cli.benchmarks.serving_lake import append


@pytest.fixture
def lake(tmp_path: Path) -> dict[str, str]:
    """The environment of a lake with two buildings and no hours."""
    append(tmp_path / "lake", "buildings", 2, building_id=["a", "b"], site=["[/x], y", None])
    append(tmp_path / "lake", "hourly_usage", 0)
    return {"WATTCAST_STATE": str(tmp_path), "WATTCAST_LAKE": str(tmp_path / "lake"), "JAVA_HOME": "/none"}


QUERY = "SELECT building_id, site FROM buildings ORDER BY building_id"


@pytest.mark.parametrize(
    ("options", "output"),
    [
        (["--csv"], 'building_id,site\na,"[/x], y"\nb,\n'),
        (["--csv", "--rows", "1"], 'building_id,site\na,"[/x], y"\n'),
        (["--json"], '[\n{"building_id":"a","site":"[/x], y"},\n{"building_id":"b","site":null}\n]\n'),
        (["--json", "--engine", "duckdb", "--rows", "1"], '[\n{"building_id":"a","site":"[/x], y"}\n]\n'),
    ],
)
def test_plain_query_is_printed(options: list[str], output: str, wattcast: Wattcast, lake: dict[str, str]) -> None:
    result = wattcast("sql", *options, QUERY, **lake)
    assert (result.status, result.err, result.out) == (0, "", output)


def test_table_says_whether_there_are_more_rows(wattcast: Wattcast, lake: dict[str, str]) -> None:
    assert "the first 1 rows" in wattcast("sql", QUERY, "--rows", "1", **lake).out
    result = wattcast("sql", QUERY, **lake)
    assert "2 rows" in result.out
    assert "[/x], y" in result.out


def test_query_without_rows_is_an_empty_result(wattcast: Wattcast, lake: dict[str, str]) -> None:
    assert wattcast("sql", "--json", "SELECT * FROM hourly_usage", **lake).out == "[]\n"
    assert wattcast("sql", "--csv", "SELECT hour FROM hourly_usage", **lake).out == "hour\n"
    assert "0 rows" in wattcast("sql", "SELECT hour FROM hourly_usage", **lake).out


def test_unknown_table_is_named_at_once(wattcast: Wattcast, lake: dict[str, str]) -> None:
    result = wattcast("sql", "SELECT * FROM meters", **lake)
    assert result.status == 2
    assert result.line.startswith("There is no table or view `meters`: choose from alerts, buildings, ")


def test_what_is_not_plain_is_refused_by_duckdb_with_the_reason(wattcast: Wattcast, lake: dict[str, str]) -> None:
    result = wattcast("sql", "--engine", "duckdb", "SELECT * FROM read_csv('/etc/passwd')", **lake)
    assert result.status == 2
    assert result.line == "DuckDB does not answer this query: it uses TABLE_FUNCTION. Use --engine spark.\n"


def test_what_is_not_plain_goes_to_spark(wattcast: Wattcast, lake: dict[str, str]) -> None:
    result = wattcast("sql", "SELECT * FROM read_csv('/etc/passwd')", **lake)
    assert result.status == 2
    assert "needs Java 17 or newer" in result.line  # this test has none


def test_unknown_engine_is_refused(wattcast: Wattcast, lake: dict[str, str]) -> None:
    result = wattcast("sql", "--engine", "postgres", QUERY, **lake)
    assert (result.status, result.line) == (2, "There is no engine postgres: choose from auto, duckdb, spark.\n")
