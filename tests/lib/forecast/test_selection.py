"""Forecasts from literal hours: the pending ones only, from what was available at the issue time and nothing else."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pyspark.sql import DataFrame, Row, SparkSession

from wattcast.contracts import contract
from wattcast.forecast.context import Predictor
from wattcast.forecast.origins import OriginSpan
from wattcast.forecast.selection import ForecastTables, pending_forecast_rows
from wattcast.messages import messages
from wattcast.setting_sections import ForecastingSettings
from wattcast.times import HOUR

ORIGIN = datetime(2017, 6, 5)
OPTIONS = ForecastingSettings(lead_hours=3, context_hours=200, clock="arrival")
CLOCK = ORIGIN + timedelta(days=10)
LIVE_SPAN = OriginSpan(ORIGIN, ORIGIN)
BACKFILL = OriginSpan(ORIGIN, ORIGIN, "backfill-1")
HINDSIGHT = OriginSpan(ORIGIN, ORIGIN, "hindsight-1", hindsight=True)


def echo(version: str = "1", fails: bool = False) -> Predictor:
    """A model that forecasts the sum of its history, more by the temperature that is forecast: every input shows.

    Spark's workers get it by value, so the class is local.
    """

    class Echo:
        name = "echo"

        def __init__(self) -> None:
            self.version = version

        def __call__(self, inputs: Mapping[str, Any]) -> Any:
            if fails:
                raise ValueError("cannot")
            total = np.nansum(inputs["energy_usage_kwh"], axis=1)[:, None] + np.nan_to_num(
                inputs["future_temperature_c"]
            )
            return total[:, :, None] + np.array([-1.0, 0.0, 1.0])

    return Echo()


def frame(spark: SparkSession, table: str, rows: list[dict[str, Any]]) -> DataFrame:
    schema = contract(table).schema
    return spark.createDataFrame([tuple(row.get(name) for name in schema.fieldNames()) for row in rows], schema)


def hour(
    building: str, before: int, kwh: float, *, available_at: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """The hour that starts so many hours before the origin, available from its end on by default."""
    start = ORIGIN - before * HOUR
    values = {"energy_usage_kwh": kwh, "readings_seen": 1, "readings_expected": 1, "coverage": 1.0, "quality_flags": []}
    available_at = available_at or start + HOUR
    return (
        {"building_id": building, "hour": start, "available_at": available_at, "as_of": available_at, "revision": 1}
        | values
        | more
    )


def history(building: str, hours: int = 180, *, silent: int = 0) -> list[dict[str, Any]]:
    """Hours up to the origin, less the `silent` newest, of 1 or 2 kWh in turn."""
    return [hour(building, before, 1.0 + before % 2) for before in range(silent + 1, hours + 1)]


def weather(lead: int, temperature_c: float, *, arrived: datetime, issued: datetime | None = None) -> dict[str, Any]:
    return {
        "accepted": True, "kafka_topic": "w", "kafka_partition": 0, "kafka_offset": 0, "kafka_timestamp": arrived,
        "rejected_for": [], "site": "s1", "issued_at": issued or arrived, "target_hour": ORIGIN + lead * HOUR,
        "temperature_c": temperature_c,
    }  # fmt: skip


def forecasts_of(
    spark: SparkSession, hours: list[dict[str, Any]], span: OriginSpan = LIVE_SPAN, *, predictor: Predictor | None = None,
    own: Mapping[str, Predictor] | None = None, forecast_weather: list[dict[str, Any]] | None = None,
    existing: DataFrame | None = None, clock: datetime = CLOCK,
) -> DataFrame:  # fmt: skip
    """`own` has predictors of buildings or sites, which come before the `predictor` of all."""
    buildings = [{"building_id": "b1", "site": "s1", "timezone": "Europe/London"}]
    overall, predictors = predictor or echo(), own or {}
    tables = ForecastTables(
        hourly=frame(spark, "hourly_usage", hours),
        existing=frame(spark, "forecasts", []) if existing is None else existing,
        buildings=frame(spark, "buildings", buildings),
        weather=frame(spark, "received_weather_forecasts", forecast_weather or []),
    )
    return pending_forecast_rows(
        tables, span,
        model_of=lambda building_id, site: predictors.get(building_id, predictors.get(site, overall)),
        clock=clock, max_wait=3 * HOUR, options=OPTIONS,
    )  # fmt: skip


def rows(forecasts: DataFrame) -> list[Row]:
    return forecasts.orderBy("building_id", "origin").collect()


def test_a_forecast_says_what_it_is_for_from_when_by_which_model_and_how_good_it_is(spark: SparkSession) -> None:
    (row,) = rows(forecasts_of(spark, history("b1")))
    assert row.asDict() | {"created_at": None} == {
        "forecast_id": row.forecast_id, "building_id": "b1", "origin": ORIGIN, "purpose": "live", "issued_at": ORIGIN,
        "target_hour": [ORIGIN, ORIGIN + HOUR, ORIGIN + 2 * HOUR], "p10_kwh": [269.0] * 3, "p50_kwh": [270.0] * 3,
        "p90_kwh": [271.0] * 3, "method": "model", "model_name": "echo", "model_version": "1", "warnings": [], "created_at": None,
    }  # fmt: skip
    assert len(row.forecast_id) == 32
    assert rows(forecasts_of(spark, history("b1")))[0].forecast_id == row.forecast_id
    assert rows(forecasts_of(spark, history("b1"), BACKFILL))[0].forecast_id != row.forecast_id


def test_a_revision_that_arrived_after_the_issue_time_is_used_with_hindsight_only(spark: SparkSession) -> None:
    planted = hour("b1", 5, 1000.0, available_at=ORIGIN + timedelta(seconds=1), revision=2)
    in_time = hour("b1", 5, 1000.0, available_at=ORIGIN, revision=2)
    sums = {
        (span.purpose, name): rows(forecasts_of(spark, history("b1") + more, span))[0].p50_kwh[0]
        for span in (LIVE_SPAN, BACKFILL, HINDSIGHT)
        for name, more in {"plain": [], "planted": [planted], "in time": [in_time]}.items()
    }
    assert sums == {
        ("live", "plain"): 270.0, ("live", "planted"): 270.0, ("live", "in time"): 1268.0,
        ("backfill-1", "plain"): 270.0, ("backfill-1", "planted"): 270.0, ("backfill-1", "in time"): 1268.0,
        ("hindsight-1", "plain"): 270.0, ("hindsight-1", "planted"): 1268.0, ("hindsight-1", "in time"): 1268.0,
    }  # fmt: skip


def test_a_weather_forecast_that_arrived_after_the_issue_time_is_not_used(spark: SparkSession) -> None:
    in_time = weather(1, 10.0, arrived=ORIGIN - HOUR)
    planted = weather(1, 500.0, arrived=ORIGIN + timedelta(seconds=1), issued=ORIGIN - timedelta(minutes=1))
    for span in (LIVE_SPAN, BACKFILL):
        (row,) = rows(forecasts_of(spark, history("b1"), span, forecast_weather=[planted, in_time]))
        assert row.p50_kwh == [270.0, 280.0, 270.0]


def test_of_the_available_weather_forecasts_the_newest_issued_counts(spark: SparkSession) -> None:
    newer = weather(0, 20.0, arrived=ORIGIN - 2 * HOUR, issued=ORIGIN - 3 * HOUR)
    older_but_later = weather(0, 10.0, arrived=ORIGIN - HOUR, issued=ORIGIN - 4 * HOUR)
    (row,) = rows(forecasts_of(spark, history("b1"), forecast_weather=[newer, older_but_later]))
    assert row.p50_kwh == [290.0, 270.0, 270.0]


def test_an_origin_is_forecast_once_live_and_once_per_model_version_in_a_backfill(spark: SparkSession) -> None:
    span = OriginSpan(ORIGIN - HOUR, ORIGIN)
    first = forecasts_of(spark, history("b1"), LIVE_SPAN).persist()
    assert [row.origin for row in rows(forecasts_of(spark, history("b1"), span, existing=first))] == [ORIGIN - HOUR]
    assert rows(forecasts_of(spark, history("b1"), LIVE_SPAN, existing=first, predictor=echo("2"))) == []
    backfilled = forecasts_of(spark, history("b1"), BACKFILL, existing=first).persist()
    assert rows(forecasts_of(spark, history("b1"), BACKFILL, existing=first.union(backfilled))) == []
    again = rows(forecasts_of(spark, history("b1"), BACKFILL, existing=backfilled, predictor=echo("2")))
    assert [(row.purpose, row.model_version) for row in again] == [("backfill-1", "2")]


def test_each_building_is_forecast_by_its_own_champion_else_that_of_its_site_else_that_of_all(
    spark: SparkSession,
) -> None:
    hours = history("b1") + history("b2") + history("b3")
    issued = rows(
        forecasts_of(spark, hours, BACKFILL, own={"s1": echo("site"), "b3": echo("own", fails=True)}).persist()
    )
    assert [(row.building_id, row.model_version, row.method) for row in issued] == [
        ("b1", "site", "model"),
        ("b2", "1", "model"),
        ("b3", "own", "weekly_profile"),
    ]
    assert len({row.forecast_id for row in issued}) == 3
    existing = frame(spark, "forecasts", [row.asDict() for row in issued])
    again = rows(forecasts_of(spark, hours, BACKFILL, own={"b2": echo("own")}, existing=existing))
    assert [(row.building_id, row.model_version) for row in again] == [("b1", "1"), ("b2", "own"), ("b3", "1")]


def test_a_model_that_raises_stops_no_building(spark: SparkSession) -> None:
    issued = rows(forecasts_of(spark, history("b1") + history("b2", 20), predictor=echo(fails=True)))
    assert [(row.building_id, row.method, row.warnings) for row in issued] == [
        ("b1", "weekly_profile", ["model_failed"]),
        ("b2", "last_known_profile", ["no_metadata", "cold_start", "short_history"]),
    ]


def test_a_silent_building_is_forecast_after_the_longest_wait_with_a_stale_context_and_late(
    spark: SparkSession,
) -> None:
    silent = history("b1", silent=2)
    assert rows(forecasts_of(spark, silent, clock=ORIGIN + 3 * HOUR - timedelta(seconds=1))) == []
    (row,) = rows(forecasts_of(spark, silent, clock=ORIGIN + 3 * HOUR))
    assert (row.issued_at, row.method, row.warnings) == (ORIGIN + 3 * HOUR, "model", ["stale_context", "late"])


def test_a_partial_hour_is_missing_and_an_hour_of_unknown_coverage_is_not(spark: SparkSession) -> None:
    partial_and_unknown = [hour("b1", 5, 500.0, coverage=0.5), hour("b1", 6, 500.0, coverage=None)]
    others = [row for row in history("b1") if row["hour"] not in {row["hour"] for row in partial_and_unknown}]
    (row,) = rows(forecasts_of(spark, others + partial_and_unknown))
    assert row.p50_kwh[0] == 270.0 - 2.0 - 1.0 + 500.0


@pytest.mark.parametrize("kwh", [1.0, -300.0])
def test_each_message_keeps_its_contract_and_is_keyed_by_its_building(spark: SparkSession, kwh: float) -> None:
    hours = [hour("b1", before, kwh + before % 2) for before in range(1, 181)]
    topic = contract("forecast-messages")
    (message,) = messages(forecasts_of(spark, hours), topic).collect()
    body = json.loads(bytes(message.value))
    Draft202012Validator(topic.json_schema(), format_checker=FormatChecker()).validate(body)
    assert bytes(message.key) == b"b1"
    assert tuple(body) == topic.column_names
    assert body["p50_kwh"] == [180 * kwh + 90] * 3
    assert body["origin"] == "2017-06-05T00:00:00.000000Z"
