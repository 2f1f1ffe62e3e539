"""The rows of the tables of the test lake: buildings, hours, forecasts, scores and received records."""

import hashlib
import json
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

DAYS = {  # load by hour of a weekday, and what of it is left at a weekend
    "office": (([0, 6, 9, 12, 17, 20, 24], [0.3, 0.35, 0.95, 1.0, 0.85, 0.4, 0.3]), 0.5),
    "school": (([0, 6, 8, 11, 15, 17, 24], [0.25, 0.3, 0.9, 1.0, 0.8, 0.35, 0.25]), 0.4),
    "university": (([0, 6, 10, 14, 19, 22, 24], [0.5, 0.5, 0.9, 1.0, 0.9, 0.65, 0.5]), 0.75),
    "residential": (([0, 5, 8, 13, 19, 22, 24], [0.4, 0.35, 0.75, 0.6, 1.0, 0.75, 0.4]), 1.1),
}
LEADS, INTERVAL_MINUTES, SILENT_HOURS = 24, 60, 5
MODEL = ("wattcast-mlp", "2.0.0")
RULES = ("energy_usage_kwh.negative", "not_json", "measured_at.without_zone", "temperature_c.out_of_range")


def row_id(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:32]


def usage_kwh(rng: np.random.Generator, buildings: int, hours: int, start: datetime) -> np.ndarray:
    """(buildings, hours) kWh: the day and week of its type on a level of each building's own, with spells and noise."""
    at, level = start.hour + np.arange(hours), rng.uniform(8, 60, (buildings, 1))
    is_weekday = (start.weekday() + at // 24) % 7 < 5
    shapes = [np.interp(at % 24, *day) * np.where(is_weekday, 1.0, weekend) for day, weekend in DAYS.values()]
    weather = 1 + 0.08 * np.sin(2 * np.pi * at / 130 + rng.uniform(0, 1, (buildings, 1)))
    usage = level * np.array([shapes[number % len(shapes)] for number in range(buildings)]) * weather
    usage *= 1 + 0.03 * correlated_noise(rng, (buildings, hours))
    if buildings > 2:
        usage[2, -LEADS - 30 :] = usage[2, -LEADS - 30]
    return usage.round(3)


def correlated_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Noise of variance 1 along the last axis that is like that of the step before."""
    noise = rng.standard_normal(shape)
    for step in range(1, shape[-1]):
        noise[..., step] = 0.8 * noise[..., step - 1] + 0.6 * noise[..., step]
    return noise


def building_rows(names: list[str]) -> pd.DataFrame:
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


def hourly_rows(names: list[str], usage: np.ndarray, start: datetime, end: datetime) -> pd.DataFrame:
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


def forecast_rows(
    rng: np.random.Generator, names: list[str], usage: np.ndarray, start: datetime, hours: int, every: int
) -> pd.DataFrame:
    origins = np.arange(hours, 23, -every)[::-1]
    width = 0.6 + 0.6 * np.arange(LEADS) / LEADS  # the farther, the wider
    unpredictable = correlated_noise(rng, usage.shape)  # what no forecast of these hours could know
    rows = []
    for number, name in enumerate(names):
        steps_down, is_silent = number == 1, len(names) > 1 and number == len(names) - 1
        target = origins[:, None] + np.arange(LEADS)
        spread = width * usage[number, target] * (0.2 if steps_down else 0.09)
        p50 = usage[number, target] + spread * (
            0.8 * unpredictable[number, target] + 0.6 * correlated_noise(rng, target.shape)
        )
        for at, median, spread_kwh in zip(origins.tolist(), p50.round(4), spread, strict=True):
            origin = start + timedelta(hours=at)
            warnings = ["short_history"] if steps_down else []
            if is_silent and at > hours - SILENT_HOURS:
                warnings = ["stale_context", *warnings]
            rows.append(
                {
                    "forecast_id": row_id(name, origin), "building_id": name, "origin": origin, "purpose": "live",
                    "issued_at": origin + timedelta(minutes=5),
                    "target_hour": list(pd.date_range(origin, periods=LEADS, freq="h")),
                    "p10_kwh": median - 1.2816 * spread_kwh, "p50_kwh": median, "p90_kwh": median + 1.2816 * spread_kwh,
                    "method": "weekly_profile" if steps_down else "model", "model_name": MODEL[0],
                    "model_version": "1.9.0" if at < hours // 2 else MODEL[1], "warnings": warnings,
                    "created_at": origin + timedelta(minutes=6),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def score_rows(
    forecasts: pd.DataFrame, usage: np.ndarray, names: list[str], start: datetime, hours: int
) -> pd.DataFrame:
    """A row per forecast hour that is over."""
    lists = ["target_hour", "p10_kwh", "p50_kwh", "p90_kwh"]
    flat = forecasts.drop(columns=["created_at", "warnings"]).assign(
        lead_hours=[list(range(1, LEADS + 1))] * len(forecasts)
    )
    flat = flat.explode([*lists, "lead_hours"], ignore_index=True)
    flat = flat.astype({"lead_hours": "int32", **dict.fromkeys(lists[1:], float)})
    flat["target_hour"] = pd.to_datetime(flat["target_hour"], utc=True)
    at = ((flat.target_hour - pd.Timestamp(start)) // pd.Timedelta(hours=1)).to_numpy()
    flat, at = flat[at < hours].reset_index(drop=True), at[at < hours]
    building = pd.Index(names).get_indexer(flat.building_id)
    actual = usage[building, at]

    def usage_before(hours_before: int) -> np.ndarray:
        return np.where(at >= hours_before, usage[building, np.maximum(at - hours_before, 0)], np.nan)

    pinball = [
        np.maximum(level * (actual - flat[name]), (level - 1) * (actual - flat[name]))
        for level, name in ((0.1, "p10_kwh"), (0.5, "p50_kwh"), (0.9, "p90_kwh"))
    ]
    return flat.assign(
        actual_kwh=actual, available_at=flat.target_hour + timedelta(minutes=65),
        local_hour=flat.target_hour.dt.tz_convert("Europe/London").dt.hour.astype("int32"),
        error_kwh=flat.p50_kwh - actual, pinball_kwh=np.mean(pinball, axis=0),
        in_interval=(flat.p10_kwh <= actual) & (actual <= flat.p90_kwh),
        last_day_kwh=usage_before(24), last_week_kwh=usage_before(168), scored_at=flat.target_hour + timedelta(minutes=70),
    )  # fmt: skip


def received_rows(names: list[str], usage: np.ndarray, start: datetime, end: datetime) -> pd.DataFrame:
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
            "payload_bytes": [len(payload) for payload in payloads],
            "payload_sha256": [hashlib.sha256(payload).hexdigest() for payload in payloads],
        }
    )  # fmt: skip
    rows = pd.concat([accepted, rejected], ignore_index=True).sort_values("kafka_timestamp", ignore_index=True)
    return rows.assign(kafka_topic="readings", kafka_partition=0, kafka_offset=np.arange(len(rows)))


def weather_rows(start: datetime, hours: int) -> pd.DataFrame:
    times = pd.date_range(start, periods=hours, freq="h")
    return pd.DataFrame(
        {
            "site": "north", "issued_at": times - timedelta(hours=6), "target_hour": times, "temperature_c": 8.0,
            "humidity_pct": 70.0, "accepted": True, "kafka_topic": "weather-forecasts", "kafka_partition": 0,
            "kafka_offset": np.arange(hours), "kafka_timestamp": times - timedelta(hours=5), "rejected_for": [[]] * hours,
            "payload_bytes": 120,
        }
    )  # fmt: skip
