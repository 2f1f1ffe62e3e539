"""Rows of a small fleet with faults, for the tests of the monitor."""

import numpy as np
import pandas as pd

from wattcast.monitoring.measures.drift import FEATURES
from wattcast.runtime.context import Run

BUILDINGS = [f"b{number}" for number in range(6)]
AS_OF = pd.Timestamp("2026-03-20T12:05:00")
DAYS = 40
SILENT, STUCK, LATE = "b1", "b2", "b3"


def hours() -> pd.DataFrame:
    """Hourly usage of DAYS days, of which one hour has a revision."""
    rng = np.random.default_rng(7)
    index = pd.date_range(AS_OF.floor("h") - pd.Timedelta(days=DAYS), AS_OF.floor("h"), freq="h", inclusive="left")
    parts = [
        pd.DataFrame({
            "building_id": name, "hour": index, "available_at": index + pd.Timedelta(minutes=65), "revision": 1,
            "energy_usage_kwh": 5 + np.sin(np.arange(len(index)) / 24 * 6.28) + rng.random(len(index)),
            "temperature_c": 10 + rng.normal(0, 3, len(index)), "humidity_pct": 60 + rng.normal(0, 5, len(index)),
            "occupancy": rng.integers(0, 30, len(index)).astype(float),
            "readings_seen": 1, "readings_expected": 1, "coverage": 1.0,
            "as_of": index + pd.Timedelta(minutes=66),
        })
        for name in BUILDINGS
    ]  # fmt: skip
    rows = pd.concat(parts, ignore_index=True)
    rows["quality_flags"] = [[] for _ in range(len(rows))]
    corrected = rows.iloc[-30:-29].assign(revision=2, energy_usage_kwh=50.0)
    corrected["available_at"] += pd.Timedelta(hours=1)
    return pd.concat([rows, corrected], ignore_index=True)


def records(usage: pd.DataFrame) -> pd.DataFrame:
    """What had arrived of the last three days: one meter silent for 10 hours, one stuck for 30, one late, and rejected ones."""
    recent = usage[(usage["revision"] == 1) & (usage["hour"] >= AS_OF - pd.Timedelta(days=3))]
    rows = recent.rename(columns={"hour": "measured_at"})[["building_id", "measured_at", *FEATURES]]
    rows["kafka_timestamp"] = rows["measured_at"] + pd.Timedelta(minutes=61)
    rows = rows[~((rows["building_id"] == SILENT) & (rows["measured_at"] >= AS_OF - pd.Timedelta(hours=11)))]
    rows.loc[
        (rows["building_id"] == STUCK) & (rows["measured_at"] >= AS_OF - pd.Timedelta(hours=31)), "energy_usage_kwh"
    ] = 4.25
    is_late = (rows["building_id"] == LATE) & (rows["measured_at"].dt.hour % 2 == 0)
    rows.loc[is_late, "kafka_timestamp"] += pd.Timedelta(minutes=20)
    rows = rows[rows["kafka_timestamp"] <= AS_OF].assign(accepted=True)
    bad = rows.tail(9).assign(accepted=False)
    rows = pd.concat([rows, bad], ignore_index=True).reset_index(drop=True)
    rows["rejected_for"] = [
        [] if good else ["not_json", "empty_value"][: 1 + n % 2] for n, good in enumerate(rows["accepted"])
    ]
    return rows.assign(
        device_id=rows["building_id"],
        kafka_topic="readings",
        kafka_partition=0,
        kafka_offset=range(len(rows)),
        schema_version=1,
    )


def scores(usage: pd.DataFrame) -> pd.DataFrame:
    """Forecast hours of five weeks, those of the last week biased, with a second revision of some."""
    rng = np.random.default_rng(3)
    newest = usage.drop_duplicates(["building_id", "hour"], keep="last")
    rows = newest[newest["hour"] >= AS_OF - pd.Timedelta(days=36)].rename(columns={"hour": "target_hour"})
    actual = rows["energy_usage_kwh"].to_numpy()
    p50 = actual * rng.normal(1.0, 0.1, len(rows)) + 0.4 * (rows["target_hour"] >= AS_OF - pd.Timedelta(days=7))
    table = rows[["building_id", "target_hour"]].assign(
        forecast_id=[f"f{number}" for number in range(len(rows))], lead_hours=rng.integers(1, 25, len(rows)), local_hour=1,
        available_at=rows["target_hour"] + pd.Timedelta(minutes=65), origin=rows["target_hour"] - pd.Timedelta(hours=3),
        issued_at=rows["target_hour"] - pd.Timedelta(hours=3), purpose="live", method="model", model_name="m", model_version="1",
        actual_kwh=actual, p10_kwh=p50 - 0.5, p50_kwh=p50, p90_kwh=p50 + 0.5, pinball_kwh=0.1, last_day_kwh=actual,
        last_week_kwh=np.where(rng.random(len(rows)) < 0.1, np.nan, actual * 1.05), scored_at=AS_OF,
    )  # fmt: skip
    again = table.sample(40, random_state=1)
    again = again.assign(actual_kwh=again["actual_kwh"] + 1, available_at=again["available_at"] + pd.Timedelta(hours=2))
    both = pd.concat([table, again, table.head(50).assign(purpose="backfill-1", forecast_id="x")], ignore_index=True)
    error = both["p50_kwh"] - both["actual_kwh"]
    return both.assign(error_kwh=error, in_interval=error.abs() <= 0.5)


def put(run: Run, table: str, rows: pd.DataFrame) -> None:
    run.lake.append(table, lambda existing: run.lake.frame(table, rows))
