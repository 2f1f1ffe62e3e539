"""Times on the command line are UTC unless they name another zone, and what is none is a sentence."""

import argparse
import os
import subprocess
import sys

import pytest

from wattcast.times import TimeRefused, instant, on_the_hour


def test_time_without_a_zone_is_utc() -> None:
    assert instant("2026-01-02").isoformat() == "2026-01-02T00:00:00+00:00"
    assert on_the_hour("2026-01-02T06:00").isoformat() == "2026-01-02T06:00:00+00:00"
    assert on_the_hour("2026-01-02T06:30+02:30").isoformat() == "2026-01-02T04:00:00+00:00"


@pytest.mark.parametrize("text", ["noon", "", "2026-02-30", "2026-01-01T25:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(TimeRefused, match=f"^{text} is not a time in ISO 8601, such as 2026-03-01"):
        instant(text)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01", "0001-01-01T00:00+14:00", "1969-12-31T23:59:59Z", "2200-01-01", "9999-12-31T23:00-10:00"],
)
def test_time_at_the_edge_of_what_can_be_computed_is_refused(text: str) -> None:
    with pytest.raises(TimeRefused, match="does not lie in the years 1970 to 2199"):
        instant(text)


def test_part_of_an_hour_is_refused_where_hours_are_meant() -> None:
    with pytest.raises(TimeRefused, match="is not on the hour"):
        on_the_hour("2026-01-02T06:30")


def test_a_parser_of_arguments_shows_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--at", type=instant)
    with pytest.raises(SystemExit):
        parser.parse_args(["--at", "noon"])
    assert "argument --at: noon is not a time in ISO 8601" in capsys.readouterr().err


SHIFTED = """
from datetime import datetime
from pyspark.sql import functions as F
from wattcast.runtime.session import small_session
from wattcast.settings import settings
spark = small_session(settings(), name="times")
print(*spark.range(1).select(F.lit(datetime(2026, 7, 1)).cast("string"), F.expr("TIMESTAMP '2026-07-01'")).first())
"""


def test_times_of_spark_are_utc_wherever_the_machine_is() -> None:
    environment = os.environ | {"TZ": "America/New_York"}
    done = subprocess.run([sys.executable, "-c", SHIFTED], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "2026-07-01 00:00:00 2026-07-01 00:00:00\n"
