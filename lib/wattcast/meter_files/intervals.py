"""The intervals that readings cover: the usual one of each device, stamps beside it, and those longer than an hour."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.rows import seconds_between, usual_minutes

DEFAULT_MINUTES = 60.0
MAX_JITTER_SECONDS, MAX_JITTER_SHARE = 60.0, 0.1
DAY_HOURS = (23.0, 25.0)  # between totals of days
MIN_TIMES_USUAL = 8.0  # a total of a day, in usual hours

SNAPPED = "times a few seconds off their interval, moved to it"
REPEATED = "readings that were repeated: the last one counts"
LONGER_THAN_AN_HOUR = "readings of more than an hour, such as totals of days, which say nothing about an hour: left out"


def device_minutes(times: pd.Series, groups: pd.Series, requested: int | None) -> pd.Series:
    """The interval of each row's device in minutes; that of most devices where a device has a single reading."""
    if requested:
        return pd.Series(float(requested), index=times.index)
    minutes = usual_minutes(times.dt.round("min"), groups)
    usual = minutes.dropna()
    return minutes.fillna(float(usual.mode().iloc[0]) if len(usual) else DEFAULT_MINUTES).clip(lower=1.0)


def snapped(times: pd.Series, minutes: pd.Series) -> tuple[pd.Series, int]:
    """Times moved to the nearest begin of an interval where they are within a minute and a tenth of it; and how many were."""
    seconds = times.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64) / 1e6
    step = minutes.to_numpy(np.float64) * 60
    nearest = np.round(seconds / step) * step
    distance = np.abs(seconds - nearest)
    is_near = (distance > 0) & (distance <= np.minimum(MAX_JITTER_SECONDS, MAX_JITTER_SHARE * step)) & (step <= 3600)
    moved = times.where(
        ~is_near, pd.to_datetime(np.where(is_near, nearest, 0), unit="s", utc=True).to_series(index=times.index)
    )
    return moved, int(is_near.sum())


def is_longer_than_an_hour(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Which rows, sorted by group and time, cover more than an hour: all rows of a device whose interval is longer, and among
    hours those that stand a day apart and have the energy of many hours, or have a day before and after them."""
    same = rows["group"].eq(rows["group"].shift())
    step = (seconds_between(rows["measured_at"].dt.tz_localize(None)) / 3600).where(same)
    ahead = step.groupby(rows["group"]).shift(-1)
    is_day_before, is_day_after = step.between(*DAY_HOURS), ahead.between(*DAY_HOURS)
    usual = rows.groupby("group")["energy_usage_kwh"].transform("median")
    is_total = rows["energy_usage_kwh"] >= MIN_TIMES_USUAL * usual
    is_day = (is_day_before & is_day_after) | ((is_day_before | is_day_after) & is_total)
    return np.asarray((rows["minutes"] > 60) | is_day, bool)
