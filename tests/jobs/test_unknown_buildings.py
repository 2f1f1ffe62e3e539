"""With `buildings.only_known`, readings of buildings without metadata are rejected with the reason."""

from dataclasses import replace

from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from pyspark.sql import SparkSession
from tests.jobs.steps import put_buildings, send, work
from tests.jobs.test_ingest import ARRIVAL, message, rows_of

from wattcast.contracts import contract
from wattcast.ingest.reading_check import broken_rules
from wattcast.ingest.rejection_reasons import rejection_reasons
from wattcast.runtime.context import Run

REASON = (
    'building_id is "stranger-1"; it has no row in the table buildings, and buildings.only_known is set: '
    "import its metadata with `wattcast buildings import`, then send the record again."
)


def test_readings_of_unknown_buildings_are_rejected_and_get_no_forecast(once: Run) -> None:
    run = replace(once, settings=once.settings.with_changes(buildings={"only_known": True}))
    put_buildings(run, {"building_id": "b1", "reading_interval_minutes": 60})
    strangers = [message(building_id=f"stranger-{number}") for number in range(34)]
    odd = [message(building_id="stranger-1", humidity_pct=101), message(building_id=""), b"rubbish"]
    send(run.broker, run.settings.kafka.readings_topic, [*strangers, message(), *odd], arrival=ARRIVAL)
    work(run, INGEST, AGGREGATE, FORECAST)
    rejected = [row.rejected_for for row in rows_of(run)]
    assert rejected == [
        *[["building_id.unknown"]] * 34, [],
        ["humidity_pct.out_of_range", "building_id.unknown"], ["building_id.bad_length"], ["not_json"],
    ]  # fmt: skip
    assert {row.building_id for row in run.lake.table("forecasts").collect()} == {"b1"}


def test_check_reading_names_the_unknown_building_and_what_to_do(spark: SparkSession) -> None:
    records = [message(building_id="stranger-1"), message()]
    buildings = [tuple("b1" if name == "building_id" else None for name in contract("buildings").column_names)]
    of_stranger, of_known = broken_rules(spark, records, ARRIVAL, buildings, only_known=True)
    assert rejection_reasons(of_stranger, records[0], contract("readings")) == [REASON]
    assert of_known == ()
    assert set(broken_rules(spark, records, ARRIVAL, buildings)) == {()}
