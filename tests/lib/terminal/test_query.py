"""A wrong query is explained in one line."""

import pytest
from pyspark.errors import PySparkException

from wattcast.lake.views import register_views
from wattcast.runtime.context import Run
from wattcast.terminal.spark_query import query_error


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "SELECT * FROM meters",
            "There is no table or view `meters`: choose from alerts, buildings, erasures, forecast_scores, ",
        ),
        ("SELEC 1", "PARSE_SYNTAX_ERROR"),
        ("SELECT no_such FROM readings", "UNRESOLVED_COLUMN"),
        ("SELECT 1 / 0", "DIVIDE_BY_ZERO"),
    ],
)
def test_wrong_query_is_one_line(once: Run, query: str, message: str) -> None:
    register_views(once.lake)
    with pytest.raises(PySparkException) as error:
        once.spark.sql(query).collect()
    assert message in query_error(error.value)
    assert "\n" not in query_error(error.value)
