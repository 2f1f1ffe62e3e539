"""The rows that the monitor would write into the test lake: measurements and alerts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from tests.lib.serving.lake_rows import MODEL, RULES, correlated_noise, row_id

Measurement = tuple[str, str, str, float]
FEATURES = ("temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh")
CHECKED_TABLES = ("forecasts", "hourly_usage", "received_readings")
MAX_MEASURED = 200  # buildings


def health_rows(rng: np.random.Generator, names: list[str], end: datetime, days: int) -> list[dict[str, Any]]:
    """Every measure, every six hours; the temperature drifts in the last week."""
    rows: list[dict[str, Any]] = []
    gaps = rng.uniform(size=(days * 4 + 1, min(len(names), MAX_MEASURED))) < 0.06
    noise = np.clip(0.5 + 0.2 * correlated_noise(rng, (12, days * 4 + 1)), 0, 1)
    for step in range(days * 4, -1, -1):
        at, levels = end - timedelta(hours=6 * step), noise[:, step]
        measurements = [
            *_fleet_measurements(levels),
            *_building_measurements(names, levels, gaps[step], is_now=not step),
            *_feature_measurements(levels, step),
            *(("rejected_share", "rule", rule, 0.001) for rule in RULES),
            *_model_measurements(levels),
            *_query_measurements(levels, step),
            *(("contract_failures", "table", table, 0.0) for table in CHECKED_TABLES),
        ]
        rows += [
            {"as_of": at, "measure": measure, "scope": scope, "subject": subject, "value": value, "samples": 168,
             "details": None, "measured_at": at + timedelta(minutes=1)}
            for measure, scope, subject, value in measurements
        ]  # fmt: skip
    return rows


def _fleet_measurements(levels: np.ndarray) -> list[Measurement]:
    values = {
        "freshness_minutes": 61.0, "forecast_age_minutes": 0.0, "completeness": 0.97 + 0.03 * levels[4],
        "rejected_share": 0.001 + 0.004 * levels[5], "interval_coverage": 0.77 + 0.05 * levels[6],
        "mae_ratio_to_last_week": 0.62 + 0.1 * levels[7],
    }  # fmt: skip
    return [(measure, "fleet", "fleet", value) for measure, value in values.items()]


def _building_measurements(
    names: list[str], levels: np.ndarray, has_gap: np.ndarray, *, is_now: bool
) -> Iterator[Measurement]:
    for number, name in enumerate(names[:MAX_MEASURED]):
        device, is_silent = f"meter-{name.split('-')[-1]}", number == len(names) - 1 and is_now
        completeness = 1.0 - 0.25 * levels[8] * has_gap[number]
        yield from [
            ("freshness_minutes", "building", name, 361.0 if is_silent else 61.0),
            ("completeness", "building", name, 0.8 if is_silent else completeness),
            ("mae_ratio_to_last_week", "building", name, 0.5 + 0.13 * number % 0.6),
            ("interval_coverage", "building", name, 0.74 + 0.03 * number % 0.11),
            ("residual_bias", "building", name, 0.03 * number % 0.1 - 0.03),
            ("residual_drift_ks", "building", name, 0.05 + 0.02 * number % 0.15),
            ("meter_silent_minutes", "device", device, 360.0 if is_silent else 60.0),
            ("meter_stuck_hours", "device", device, 30.0 if number == 2 and is_now else 1.0),
            ("meter_late_share", "device", device, 0.0),
            ("meter_rejected_share", "device", device, 0.04 if number == 0 else 0.0),
        ]


def _feature_measurements(levels: np.ndarray, step: int) -> Iterator[Measurement]:
    drift = np.array([max(0.0, 0.16 - 0.008 * step), 0, 0, 0]) + 0.02 + 0.03 * levels[:4]
    for measure, values in (("input_drift_psi", drift), ("input_drift_ks", drift / 1.5)):
        for feature, value in zip(FEATURES, values.tolist(), strict=True):
            yield measure, "feature", feature, value


def _model_measurements(levels: np.ndarray) -> list[Measurement]:
    values = {
        "mae_ratio_to_last_week": 0.7,
        "residual_bias": 0.02 * levels[9] - 0.008,
        "residual_drift_ks": 0.04 + 0.04 * levels[10],
    }
    return [(measure, "model", " ".join(MODEL), value) for measure, value in values.items()]


def _query_measurements(levels: np.ndarray, step: int) -> Iterator[Measurement]:
    for number, query in enumerate(("ingest", "aggregate", "forecast", "publish")):
        load = 0.7 + 0.6 * levels[number] + 2.5 * (step == 9)
        yield "stream_lag_records", "query", query, round((400, 90, 0, 20)[number] * load**2)
        yield "batch_seconds", "query", query, (1.4, 2.6, 4.1, 0.8)[number] * load
        yield "rows_per_second", "query", query, (900, 240, 60, 120)[number] / load


def alert_rows(names: list[str], end: datetime) -> list[dict[str, Any]]:
    def change(
        rule: str, severity: str, scope: str, subject: str, state: str, ago: int, started_ago: int, **more: Any
    ) -> dict[str, Any]:
        started = end - timedelta(hours=started_ago)
        return {
            "alert_id": row_id(rule, scope, subject, started), "state": state, "changed_at": end - timedelta(hours=ago),
            "rule": rule, "severity": severity, "scope": scope, "subject": subject, "started_at": started,
            "created_at": end - timedelta(hours=ago), **more,
        }  # fmt: skip

    silent, stuck = (f"meter-{name.split('-')[-1]}" for name in (names[-1], names[min(2, len(names) - 1)]))
    silent_text = f"Meter {silent} has sent nothing for 6 hours: check its power and its network."
    late_text = f"Meter {stuck} sends late: check its network."
    return [
        change("meter_late", "warning", "device", stuck, "firing", 60, 60, value=0.4, threshold=0.2, message=late_text),
        change("meter_late", "warning", "device", stuck, "resolved", 50, 60, value=0.0, threshold=0.2, message=late_text),
        change("meter_silent", "critical", "device", silent, "firing", 1, 1, value=360.0, threshold=180.0, message=silent_text),
        change(
            "meter_stuck", "warning", "device", stuck, "firing", 2, 2, value=30.0, threshold=24.0,
            message=f"Meter {stuck} has shown the same value for 30 hours: look at the sensor.",
        ),
    ]  # fmt: skip
