"""Measurements as rows: the common format of what the monitor and the jobs measure, and the list of measures."""

from collections.abc import Mapping, Sequence

import pandas as pd

MEASUREMENT_COLUMNS = ["measure", "scope", "subject", "value", "samples", "details"]
FLEET = "fleet"

# Each measure with its scopes. What each one means: docs/guide-operations.md.
MEASURES: Mapping[str, tuple[str, ...]] = {
    "freshness_minutes": (FLEET, "building"),
    "forecast_age_minutes": (FLEET, "building"),
    "completeness": (FLEET, "building"),
    "unusable_hours": ("building",),
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

# Measures of programs, not of readings: their as_of is the time of this machine.
QUERY_MEASURES = ("stream_lag_records", "batch_seconds", "rows_per_second")
MACHINE_TIME_MEASURES = (*QUERY_MEASURES, "check_in_minutes", "contract_failures", "retraining_started")

# Measures over weeks, which change slowly: computed once an hour at most.
SLOW_MEASURES = (
    "input_drift_psi", "input_drift_ks", "temperature_off_site_c", "residual_bias_2d", "residual_drift_ks", "residual_bias",
    "interval_coverage", "mae_ratio_to_last_week",
)  # fmt: skip


def measurement_rows(
    measure: str, scope: str, values: pd.Series, samples: pd.Series | None = None, details: str = ""
) -> pd.DataFrame:
    """A row for each value that is a number, in MEASUREMENT_COLUMNS; the index of `values` has the subjects."""
    values = values[values.notna()]
    counts = samples.reindex(values.index) if samples is not None else pd.Series(index=values.index, dtype=float)
    return pd.DataFrame(
        {
            "measure": measure, "scope": scope, "subject": values.index.astype(str), "value": values.to_numpy(float),
            "samples": counts.to_numpy(float), "details": details or None,
        }
    )  # fmt: skip


def measurement_row(
    measure: str, scope: str, subject: str, value: float, samples: int | None = None, details: str = ""
) -> pd.DataFrame:
    return measurement_rows(measure, scope, pd.Series({subject: value}), pd.Series({subject: samples}), details)


def combined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all parts, in MEASUREMENT_COLUMNS."""
    filled = [part for part in parts if len(part)]
    return (
        pd.concat(filled, ignore_index=True)[MEASUREMENT_COLUMNS]
        if filled
        else pd.DataFrame(columns=MEASUREMENT_COLUMNS)
    )
