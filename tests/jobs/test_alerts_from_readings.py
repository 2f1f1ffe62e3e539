"""From readings in Kafka through every table to alerts and back: faults of four days in the life of a small fleet."""

import json
from datetime import UTC, timedelta
from functools import reduce

import numpy as np
import pandas as pd
import pytest
from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from jobs.monitor import MONITOR
from jobs.score import SCORE
from tests.jobs.steps import put_buildings, work

from wattcast.runtime.context import Run, build_run

FINE, SILENT, WARM, SCALED = BUILDINGS = ("fine", "silent", "warm", "scaled")
START = pd.Timestamp("2026-03-02")
BROKEN, MENDED, END = (START + pd.Timedelta(days=days) for days in (9, 11, 15))
SILENT_HOURS = 6
JOBS = (INGEST, AGGREGATE, FORECAST, SCORE, MONITOR)


def readings() -> pd.DataFrame:
    """One an hour and building: a day's course on a level of its own under one weather. In the days between BROKEN and MENDED
    one outdoor sensor reads 5 °C too much and one meter counts double; another sends nothing in the last SILENT_HOURS."""
    rng = np.random.default_rng(5)
    hours = pd.date_range(START, END, freq="h", inclusive="left")
    daily = 2 + np.sin((hours.hour - 9) / 24 * 2 * np.pi)
    parts = [
        pd.DataFrame({
            "building_id": name, "measured_at": hours,
            "energy_usage_kwh": (3 + number) * daily * rng.normal(1, 0.03, len(hours)),
            "temperature_c": 8 + 3 * daily + rng.normal(0, 0.1, len(hours)),
            "humidity_pct": 60.0, "occupancy": np.where(daily > 2, 20.0, 2.0),
        })
        for number, name in enumerate(BUILDINGS)
    ]  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    is_broken = (rows["measured_at"] >= BROKEN) & (rows["measured_at"] < MENDED)
    rows.loc[is_broken & (rows["building_id"] == WARM), "temperature_c"] += 5
    rows.loc[is_broken & (rows["building_id"] == SCALED), "energy_usage_kwh"] *= 2
    is_last = is_broken & (rows["measured_at"] >= MENDED - pd.Timedelta(hours=SILENT_HOURS))
    return rows[~(is_last & (rows["building_id"] == SILENT))]


def sent(run: Run, rows: pd.DataFrame) -> None:
    """Each reading a minute after the end of its hour."""
    producer, topic = run.broker.producer(), run.settings.kafka.readings_topic
    run.broker.ensure_topics([topic])
    for row in rows.sort_values("measured_at", kind="stable").to_dict("records"):
        start = row["measured_at"].to_pydatetime().replace(tzinfo=UTC)
        value = json.dumps(row | {"measured_at": f"{start:%Y-%m-%dT%H:%M:%SZ}"}).encode()
        arrival = int((start + timedelta(minutes=61)).timestamp() * 1000)
        producer.send(topic, key=row["building_id"].encode(), value=value, timestamp_ms=arrival)
    producer.flush()
    producer.close()


@pytest.fixture
def fleet(once: Run) -> Run:
    put_buildings(
        once, *({"building_id": name, "site": "here", "timezone": "UTC", "country": "GB", "building_type": "office",
                 "reading_interval_minutes": 60} for name in BUILDINGS),
    )  # fmt: skip
    changes = {"monitoring": {"contracts_hours": 0}, "forecasting": {"catch_up_hours": 48}}
    own = once.settings.with_changes(**changes).model_copy(update={"state": once.settings.state})
    return build_run(once.spark, own, once=True)


def firing(run: Run) -> set[tuple[str, str]]:
    rows = (
        run.lake.table("alerts")
        .toPandas()
        .sort_values(["changed_at", "state"])
        .drop_duplicates("alert_id", keep="last")
    )
    return {(row.rule, row.subject) for row in rows.itertuples() if row.state == "firing"}


def test_faults_of_readings_raise_their_alerts_and_no_others_and_each_is_resolved(fleet: Run) -> None:
    rows = readings()
    told = []
    for first, end in ((START, BROKEN), (BROKEN, MENDED), (MENDED, END)):
        sent(fleet, rows[(rows["measured_at"] >= first) & (rows["measured_at"] < end)])
        work(fleet, *JOBS)
        told.append(firing(fleet))
    faults = {("meter_silent", SILENT), ("sensor_off_site", WARM), ("meter_level", SCALED)}
    assert told == [set(), faults, set()]
    alerts = fleet.lake.table("alerts").toPandas().sort_values("changed_at")
    assert alerts.groupby("alert_id")["state"].agg(list).tolist() == [["firing", "resolved"]] * len(faults)
    kept = fleet.lake.table("health").toPandas().set_index(["as_of", "measure", "subject"])["value"]
    at = [end + pd.Timedelta(minutes=1) for end in (BROKEN, MENDED, END)]  # the newest arrivals
    assert [kept[each, "meter_silent_minutes", SILENT] for each in at] == [0, SILENT_HOURS * 60, 0]
    assert [kept[each, "freshness_minutes", "fleet"] for each in at] == [1, 1, 1]
    assert kept[at[1], "completeness", SILENT] == pytest.approx(1 - _lost(at[1]) / 24)
    assert [kept[each, "temperature_off_site_c", WARM] > 4 for each in at] == [False, True, False]
    of_neighbours = reduce(max, (kept[at[1], "temperature_off_site_c", name] for name in (FINE, SILENT, SCALED)))
    assert of_neighbours < 0.5
    assert kept[at[1], "residual_bias_2d", SCALED] > 0.21 > 2 * kept[at[1], "residual_bias_2d", FINE]


def _lost(at: pd.Timestamp) -> int:
    """Hours of the silent building that had to be closed by then: three hours are waited."""
    last_end = (at - pd.Timedelta(hours=3)).floor("h")
    return int((last_end - (MENDED - pd.Timedelta(hours=SILENT_HOURS))) / pd.Timedelta(hours=1))
