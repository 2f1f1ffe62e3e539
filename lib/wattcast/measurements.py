"""Measurements as rows: what every part of the monitor yields."""

from collections.abc import Mapping, Sequence

import pandas as pd

ROW = ["measure", "scope", "subject", "value", "samples", "details"]
FLEET = "fleet"

# What is measured, and of what kinds of things. What each means: docs/guide-operations.md.
MEASURES: Mapping[str, tuple[str, ...]] = {
    "freshness_minutes": (FLEET, "building"),
    "forecast_age_minutes": (FLEET, "building"),
    "completeness": (FLEET, "building"),
    "meter_silent_minutes": ("device",),
    "meter_stuck_hours": ("device",),
    "meter_noise": ("device",),
    "meter_late_share": ("device",),
    "meter_rejected_share": ("device",),
    "temperature_off_site_c": ("building",),
    "rejected_share": (FLEET, "rule"),
    "input_drift_ks": ("feature",),
    "input_drift_psi": ("feature",),
    "residual_drift_ks": ("building", "model"),
    "residual_bias": ("building", "model"),
    "residual_bias_2d": ("building", "model"),
    "interval_coverage": (FLEET, "building", "model"),
    "mae_ratio_to_last_week": (FLEET, "building", "model"),
    "stream_lag_records": ("query",),
    "batch_seconds": ("query",),
    "rows_per_second": ("query",),
    "check_in_minutes": ("query",),
    "contract_failures": ("table",),
    "retraining_started": (FLEET,),
}

# What is measured of programs and not of readings: its as_of is this machine's time.
OF_QUERIES = ("stream_lag_records", "batch_seconds", "rows_per_second")
OF_MACHINE = (*OF_QUERIES, "check_in_minutes", "contract_failures", "retraining_started")

# What of a measure is made once an hour at most: it looks at weeks, and changes slowly.
SLOW = (
    "input_drift_psi", "input_drift_ks", "temperature_off_site_c", "residual_bias_2d", "residual_drift_ks", "residual_bias",
    "interval_coverage", "mae_ratio_to_last_week",
)  # fmt: skip


def rows_of(
    measure: str, scope: str, values: pd.Series, samples: pd.Series | None = None, details: str = ""
) -> pd.DataFrame:
    """A row for each value that is a number; its index are the subjects."""
    known = values[values.notna()]
    counts = samples.reindex(known.index) if samples is not None else pd.Series(index=known.index, dtype=float)
    return pd.DataFrame(
        {
            "measure": measure, "scope": scope, "subject": known.index.astype(str), "value": known.to_numpy(float),
            "samples": counts.to_numpy(float), "details": details or None,
        }
    )  # fmt: skip


def one_row(
    measure: str, scope: str, subject: str, value: float, samples: int | None = None, details: str = ""
) -> pd.DataFrame:
    return rows_of(measure, scope, pd.Series({subject: value}), pd.Series({subject: samples}), details)


def together(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts, in ROW."""
    found = [part for part in parts if len(part)]
    return pd.concat(found, ignore_index=True)[ROW] if found else pd.DataFrame(columns=ROW)
