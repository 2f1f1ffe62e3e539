"""A lake without Spark: every table in the columns of its contract, written by delta-rs, reproducible by seed.

The buildings differ: the second steps down to a profile, the third has a stuck meter, the last has been silent for five
hours; the first has a rejected reading a day.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import write_deltalake

from wattcast.contracts import contract

END = datetime(2026, 3, 15, tzinfo=UTC)
DAYS = {  # load by hour of a weekday, and what of it is left at a weekend
    "office": (([0, 6, 9, 12, 17, 20, 24], [0.3, 0.35, 0.95, 1.0, 0.85, 0.4, 0.3]), 0.5),
    "school": (([0, 6, 8, 11, 15, 17, 24], [0.25, 0.3, 0.9, 1.0, 0.8, 0.35, 0.25]), 0.4),
    "university": (([0, 6, 10, 14, 19, 22, 24], [0.5, 0.5, 0.9, 1.0, 0.9, 0.65, 0.5]), 0.75),
    "residential": (([0, 5, 8, 13, 19, 22, 24], [0.4, 0.35, 0.75, 0.6, 1.0, 0.75, 0.4]), 1.1),
}
LEADS, INTERVAL_MINUTES, SILENT_HOURS = 24, 60, 5
MODEL = ("wattcast-mlp", "2.0.0")
RULES = ("energy_usage_kwh.negative", "not_json", "measured_at.without_zone", "temperature_c.out_of_range")
TYPES = {
    "STRING": pa.string(), "TIMESTAMP": pa.timestamp("us", "UTC"), "DOUBLE": pa.float64(), "INT": pa.int32(),
    "BIGINT": pa.int64(), "BOOLEAN": pa.bool_(), "BINARY": pa.binary(), "ARRAY<STRING>": pa.list_(pa.string()),
    "ARRAY<DOUBLE>": pa.list_(pa.float64()), "ARRAY<TIMESTAMP>": pa.list_(pa.timestamp("us", "UTC")),
}  # fmt: skip


def schema(table: str) -> pa.Schema:
    """The columns of a contract as Arrow types."""
    columns = contract(table).columns
    return pa.schema([pa.field(each.name, TYPES[each.physical_type], not each.required) for each in columns])


def append(folder: Path, table: str, rows: pd.DataFrame | list[dict[str, Any]]) -> None:
    """One commit to a table, which is made if it is not there; a column that is missing in `rows` is null."""
    wanted = schema(table)
    if isinstance(rows, list):
        data = pa.Table.from_pylist(rows, schema=wanted)
    else:
        data = pa.Table.from_pandas(rows.reindex(columns=wanted.names), schema=wanted, preserve_index=False)
    only_append = contract(table).properties.get("appendOnly", True)
    write_deltalake(
        str(folder / table), data, mode="append", partition_by=list(contract(table).partitioned_by) or None,
        configuration={"delta.appendOnly": "true"} if only_append else None,
    )  # fmt: skip


def write_lake(
    folder: Path,
    *,
    buildings: int = 5,
    days: int = 14,
    seed: int = 0,
    end: datetime = END,
    origins_every_hours: int = 1,
    names: list[str] | None = None,
) -> list[str]:
    """All tables of `buildings` over `days` until `end`; the ids of the buildings."""
    rng = np.random.default_rng(seed)
    names = names or [f"building-{number:0{len(str(buildings - 1))}d}" for number in range(buildings)]
    buildings = len(names)
    hours = days * 24
    start = end - timedelta(hours=hours)
    usage = _usage(rng, buildings, hours + LEADS, start)
    append(folder, "buildings", _buildings(names))
    append(folder, "hourly_usage", _hourly(names, usage[:, :hours], start, end))
    made = _forecasts(rng, names, usage, start, hours, origins_every_hours)
    append(folder, "forecasts", made)
    append(folder, "forecast_scores", _scores(made, usage, names, start, hours))
    append(folder, "received_readings", _received(names, usage[:, :hours], start, end))
    append(folder, "received_weather_forecasts", _weather(start, hours + LEADS))
    append(folder, "health", _health(rng, names, end, days))
    append(folder, "alerts", _alerts(names, end))
    return names


def forecasts_of(names: list[str], origin: datetime, *, kwh: float = 10.0) -> pd.DataFrame:
    """A live forecast of each building from `origin`, flat at `kwh`: what a batch of the pipeline appends."""
    targets = list(pd.date_range(origin, periods=LEADS, freq="h"))
    row = {
        "origin": origin, "purpose": "live", "issued_at": origin + timedelta(minutes=6), "target_hour": targets,
        "p10_kwh": [kwh - 1] * LEADS, "p50_kwh": [kwh] * LEADS, "p90_kwh": [kwh + 1] * LEADS, "method": "model",
        "model_name": MODEL[0], "model_version": MODEL[1], "warnings": [], "created_at": origin + timedelta(minutes=7),
    }  # fmt: skip
    return pd.DataFrame([row | {"building_id": name, "forecast_id": _id(name, origin)} for name in names])


def _id(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]


def _usage(rng: np.random.Generator, buildings: int, hours: int, start: datetime) -> np.ndarray:
    """(buildings, hours) kWh: the day and week of its type on a level of each building's own, with spells and noise."""
    at, level = start.hour + np.arange(hours), rng.uniform(8, 60, (buildings, 1))
    is_weekday = (start.weekday() + at // 24) % 7 < 5
    shapes = [np.interp(at % 24, *day) * np.where(is_weekday, 1.0, weekend) for day, weekend in DAYS.values()]
    weather = 1 + 0.08 * np.sin(2 * np.pi * at / 130 + rng.uniform(0, 1, (buildings, 1)))
    usage = level * np.array([shapes[number % len(shapes)] for number in range(buildings)]) * weather
    usage *= 1 + 0.03 * _slow(rng, (buildings, hours))
    if buildings > 2:
        usage[2, -LEADS - 30 :] = usage[2, -LEADS - 30]
    return usage.round(3)


def _slow(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of variance 1 along the last axis that is like that of the step before."""
    noise = rng.standard_normal(shape)
    for step in range(1, shape[-1]):
        noise[..., step] = 0.8 * noise[..., step - 1] + 0.6 * noise[..., step]
    return noise


def _buildings(names: list[str]) -> pd.DataFrame:
    kinds, sites = tuple(DAYS), ("north", "south")
    return pd.DataFrame(
        {
            "building_id": names,
            "site": [sites[number % 2] for number in range(len(names))],
            "timezone": "Europe/London",
            "country": "GB",
            "building_type": [kinds[number % 4] for number in range(len(names))],
            "closures": "",
            "reading_interval_minutes": INTERVAL_MINUTES,
            "allows_negative_energy": False,
        }
    )


def _grid(names: list[str], usage: np.ndarray, start: datetime) -> pd.DataFrame:
    """A row per building and hour; the last building lacks its last hours."""
    times = pd.date_range(start, periods=usage.shape[1], freq="h")
    grid = pd.DataFrame(
        {
            "building_id": np.repeat(names, len(times)),
            "hour": np.tile(times, len(names)),
            "energy_usage_kwh": usage.ravel(),
        }
    )
    grid_index = grid.index
    if len(names) > 1:
        is_silent = (grid.building_id == names[-1]) & (grid.hour >= times[-SILENT_HOURS])
        grid = grid[~is_silent]
    day = 2 * np.pi * (grid.hour.dt.hour - 2) / 24
    spell = np.sin(2 * np.pi * np.arange(len(times)) / 130)  # of warmer and colder days
    warmth = pd.Series(np.tile(spell, len(names)), grid_index)[grid.index]
    people = 90 * np.clip(np.sin(np.pi * (grid.hour.dt.hour - 7) / 12), 0, 1) * (grid.hour.dt.weekday < 5)
    return grid.assign(
        temperature_c=(8 - 4 * np.cos(day) + 3 * warmth).round(2),
        humidity_pct=(72 + 12 * np.cos(day) - 6 * warmth).round(2), occupancy=people.round(1),
    ).reset_index(drop=True)  # fmt: skip


def _hourly(names: list[str], usage: np.ndarray, start: datetime, end: datetime) -> pd.DataFrame:
    grid = _grid(names, usage, start)
    available = grid.hour + timedelta(minutes=65)
    rows = grid.assign(
        available_at=available, revision=1, readings_seen=1, readings_expected=1, coverage=1.0, as_of=available,
        quality_flags=[[]] * len(grid),
    )  # fmt: skip
    first = rows.iloc[[0]].assign(
        revision=2,
        energy_usage_kwh=rows.energy_usage_kwh.iloc[0] + 1.5,
        available_at=available.iloc[0] + timedelta(hours=3),
    )
    partial = rows.index[30]
    rows.loc[partial, ["readings_seen", "readings_expected", "coverage"]] = [1, 2, 0.5]
    rows.at[partial, "quality_flags"] = ["partial"]
    return pd.concat([rows, first], ignore_index=True)


def _forecasts(
    rng: np.random.Generator, names: list[str], usage: np.ndarray, start: datetime, hours: int, every: int
) -> pd.DataFrame:
    origins = np.arange(hours, 23, -every)[::-1]
    width = 0.6 + 0.6 * np.arange(LEADS) / LEADS  # the farther, the wider
    misread = _slow(rng, usage.shape)  # what no forecast of these hours could know
    rows = []
    for number, name in enumerate(names):
        steps_down, is_silent = number == 1, len(names) > 1 and number == len(names) - 1
        target = origins[:, None] + np.arange(LEADS)
        spread = width * usage[number, target] * (0.2 if steps_down else 0.09)
        p50 = usage[number, target] + spread * (0.8 * misread[number, target] + 0.6 * _slow(rng, target.shape))
        for at, median, spread_kwh in zip(origins.tolist(), p50.round(4), spread, strict=True):
            origin = start + timedelta(hours=at)
            warnings = ["short_history"] if steps_down else []
            if is_silent and at > hours - SILENT_HOURS:
                warnings = ["stale_context", *warnings]
            rows.append(
                {
                    "forecast_id": _id(name, origin), "building_id": name, "origin": origin, "purpose": "live",
                    "issued_at": origin + timedelta(minutes=5),
                    "target_hour": list(pd.date_range(origin, periods=LEADS, freq="h")),
                    "p10_kwh": median - 1.2816 * spread_kwh, "p50_kwh": median, "p90_kwh": median + 1.2816 * spread_kwh,
                    "method": "weekly_profile" if steps_down else "model", "model_name": MODEL[0],
                    "model_version": "1.9.0" if at < hours // 2 else MODEL[1], "warnings": warnings,
                    "created_at": origin + timedelta(minutes=6),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _scores(made: pd.DataFrame, usage: np.ndarray, names: list[str], start: datetime, hours: int) -> pd.DataFrame:
    """A row per forecast hour that is over."""
    lists = ["target_hour", "p10_kwh", "p50_kwh", "p90_kwh"]
    flat = made.drop(columns=["created_at", "warnings"]).assign(lead_hours=[list(range(1, LEADS + 1))] * len(made))
    flat = flat.explode([*lists, "lead_hours"], ignore_index=True)
    flat = flat.astype({"lead_hours": "int32", **dict.fromkeys(lists[1:], float)})
    flat["target_hour"] = pd.to_datetime(flat["target_hour"], utc=True)
    at = ((flat.target_hour - pd.Timestamp(start)) // pd.Timedelta(hours=1)).to_numpy()
    flat, at = flat[at < hours].reset_index(drop=True), at[at < hours]
    building = pd.Index(names).get_indexer(flat.building_id)
    actual = usage[building, at]

    def back(back_hours: int) -> np.ndarray:
        return np.where(at >= back_hours, usage[building, np.maximum(at - back_hours, 0)], np.nan)

    pinball = [
        np.maximum(level * (actual - flat[name]), (level - 1) * (actual - flat[name]))
        for level, name in ((0.1, "p10_kwh"), (0.5, "p50_kwh"), (0.9, "p90_kwh"))
    ]
    return flat.assign(
        actual_kwh=actual, available_at=flat.target_hour + timedelta(minutes=65),
        local_hour=flat.target_hour.dt.tz_convert("Europe/London").dt.hour.astype("int32"),
        error_kwh=flat.p50_kwh - actual, pinball_kwh=np.mean(pinball, axis=0),
        in_interval=(flat.p10_kwh <= actual) & (actual <= flat.p90_kwh),
        last_day_kwh=back(24), last_week_kwh=back(168), scored_at=flat.target_hour + timedelta(minutes=70),
    )  # fmt: skip


def _received(names: list[str], usage: np.ndarray, start: datetime, end: datetime) -> pd.DataFrame:
    grid = _grid(names, usage, start).rename(columns={"hour": "measured_at"})
    accepted = grid.assign(
        schema_version=1, device_id="meter-" + grid.building_id.str.split("-").str[-1], accepted=True,
        kafka_timestamp=grid.measured_at + timedelta(minutes=61), rejected_for=[[]] * len(grid), payload_bytes=140,
    )  # fmt: skip
    days = (end - start).days
    payloads = [json.dumps({"building_id": names[0], "energy_usage_kwh": -1.0 - day}).encode() for day in range(days)]
    rejected = pd.DataFrame(
        {
            "building_id": names[0], "device_id": accepted.device_id.iloc[0], "accepted": False,
            "kafka_timestamp": [start + timedelta(days=day, hours=12, minutes=1) for day in range(days)],
            "rejected_for": [[RULES[(0, 1, 0, 3, 0, 2, 1)[day % 7]]] for day in range(days)], "raw_payload": payloads,
            "payload_bytes": [len(each) for each in payloads],
            "payload_sha256": [hashlib.sha256(each).hexdigest() for each in payloads],
        }
    )  # fmt: skip
    rows = pd.concat([accepted, rejected], ignore_index=True).sort_values("kafka_timestamp", ignore_index=True)
    return rows.assign(kafka_topic="readings", kafka_partition=0, kafka_offset=np.arange(len(rows)))


def _weather(start: datetime, hours: int) -> pd.DataFrame:
    times = pd.date_range(start, periods=hours, freq="h")
    return pd.DataFrame(
        {
            "site": "north", "issued_at": times - timedelta(hours=6), "target_hour": times, "temperature_c": 8.0,
            "humidity_pct": 70.0, "accepted": True, "kafka_topic": "weather-forecasts", "kafka_partition": 0,
            "kafka_offset": np.arange(hours), "kafka_timestamp": times - timedelta(hours=5), "rejected_for": [[]] * hours,
            "payload_bytes": 120,
        }
    )  # fmt: skip


def _health(rng: np.random.Generator, names: list[str], end: datetime, days: int) -> list[dict[str, Any]]:
    """Every measure, each six hours; the temperature drifts in the last week."""
    rows, features = [], ("temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh")
    gaps = rng.uniform(size=(days * 4 + 1, min(len(names), 200))) < 0.06
    course = np.clip(0.5 + 0.2 * _slow(rng, (12, days * 4 + 1)), 0, 1)
    for step in range(days * 4, -1, -1):
        at, some = end - timedelta(hours=6 * step), course[:, step]
        drift = np.array([max(0.0, 0.16 - 0.008 * step), 0, 0, 0]) + 0.02 + 0.03 * some[:4]
        fleet = {
            "freshness_minutes": 61.0, "forecast_age_minutes": 0.0, "completeness": 0.97 + 0.03 * some[4],
            "rejected_share": 0.001 + 0.004 * some[5], "interval_coverage": 0.77 + 0.05 * some[6],
            "mae_ratio_to_last_week": 0.62 + 0.1 * some[7],
        }  # fmt: skip
        found = [(measure, "fleet", "fleet", value) for measure, value in fleet.items()]
        for number, name in enumerate(names[:200]):
            is_silent, device = number == len(names) - 1, f"meter-{name.split('-')[-1]}"
            is_silent_now, whole = is_silent and not step, 1.0 - 0.25 * some[8] * gaps[step, number]
            found += [
                ("freshness_minutes", "building", name, 361.0 if is_silent_now else 61.0),
                ("completeness", "building", name, 0.8 if is_silent_now else whole),
                ("mae_ratio_to_last_week", "building", name, 0.5 + 0.13 * number % 0.6),
                ("interval_coverage", "building", name, 0.74 + 0.03 * number % 0.11),
                ("residual_bias", "building", name, 0.03 * number % 0.1 - 0.03),
                ("residual_drift_ks", "building", name, 0.05 + 0.02 * number % 0.15),
                ("meter_silent_minutes", "device", device, 360.0 if is_silent_now else 60.0),
                ("meter_stuck_hours", "device", device, 30.0 if number == 2 and not step else 1.0),
                ("meter_late_share", "device", device, 0.0),
                ("meter_rejected_share", "device", device, 0.04 if number == 0 else 0.0),
            ]
        found += [("input_drift_psi", "feature", *each) for each in zip(features, drift.tolist(), strict=True)]
        found += [("input_drift_ks", "feature", *each) for each in zip(features, (drift / 1.5).tolist(), strict=True)]
        found += [("rejected_share", "rule", rule, 0.001) for rule in RULES]
        of_model = {
            "mae_ratio_to_last_week": 0.7,
            "residual_bias": 0.02 * some[9] - 0.008,
            "residual_drift_ks": 0.04 + 0.04 * some[10],
        }
        found += [(measure, "model", " ".join(MODEL), value) for measure, value in of_model.items()]
        for number, query in enumerate(("ingest", "aggregate", "forecast", "publish")):
            load = 0.7 + 0.6 * some[number] + 2.5 * (step == 9)
            found += [("stream_lag_records", "query", query, round((400, 90, 0, 20)[number] * load**2)),
                      ("batch_seconds", "query", query, (1.4, 2.6, 4.1, 0.8)[number] * load),
                      ("rows_per_second", "query", query, (900, 240, 60, 120)[number] / load)]  # fmt: skip
        found += [
            ("contract_failures", "table", table, 0.0) for table in ("forecasts", "hourly_usage", "received_readings")
        ]
        rows += [
            {"as_of": at, "measure": measure, "scope": scope, "subject": subject, "value": value, "samples": 168,
             "details": None, "measured_at": at + timedelta(minutes=1)}
            for measure, scope, subject, value in found
        ]  # fmt: skip
    return rows


def _alerts(names: list[str], end: datetime) -> list[dict[str, Any]]:
    def change(
        rule: str, severity: str, scope: str, subject: str, state: str, ago: int, of: int, **more: Any
    ) -> dict[str, Any]:
        started = end - timedelta(hours=of)
        return {
            "alert_id": _id(rule, scope, subject, started), "state": state, "changed_at": end - timedelta(hours=ago),
            "rule": rule, "severity": severity, "scope": scope, "subject": subject, "started_at": started,
            "created_at": end - timedelta(hours=ago), **more,
        }  # fmt: skip

    silent, stuck = (f"meter-{name.split('-')[-1]}" for name in (names[-1], names[min(2, len(names) - 1)]))
    said = f"Meter {silent} has sent nothing for 6 hours: check its power and its network."
    late = f"Meter {stuck} sends late: check its network."
    return [
        change("meter_late", "warning", "device", stuck, "firing", 60, 60, value=0.4, threshold=0.2, message=late),
        change("meter_late", "warning", "device", stuck, "resolved", 50, 60, value=0.0, threshold=0.2, message=late),
        change("meter_silent", "critical", "device", silent, "firing", 1, 1, value=360.0, threshold=180.0, message=said),
        change(
            "meter_stuck", "warning", "device", stuck, "firing", 2, 2, value=30.0, threshold=24.0,
            message=f"Meter {stuck} has shown one and the same value for 30 hours: look at the sensor.",
        ),
    ]  # fmt: skip
