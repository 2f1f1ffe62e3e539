"""A summary of readings before they are used, with what is implausible about them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from wattcast.meter_files.conversion import Readings
from wattcast.meter_files.detection.meaning import never_falling
from wattcast.meter_files.rows import groups_of

MAX_MEAN_KW, MIN_MEAN_KW = 5_000.0, 0.005  # of a building: beyond these the unit may be another
MAX_HOME_KW = 50.0  # a peak that no home has
SPIKE_TIMES = 20.0  # times the 99th percentile
MIN_RUN_HOURS = 24  # of zeros or of the same value
MAX_NAMES = 3


@dataclass(frozen=True)
class Preview:
    """Figures of all readings, and remarks on those that are implausible. Times are UTC; `end` is that of the last interval."""

    rows: int
    buildings: int
    devices: int
    first: pd.Timestamp
    end: pd.Timestamp
    minutes: tuple[int, ...]  # the intervals that occur
    kwh_per_day: float  # mean over the days and buildings
    gap_share: float  # of the intervals between the first and the last reading of each device
    zero_share: float
    negative: int
    spikes: int
    remarks: tuple[str, ...]


def preview(readings: Readings, *, homes: Collection[str] = (), now: datetime | None = None) -> Preview:
    """The summary of readings that are sorted by device and time. `homes` names residential buildings; with `now`, an aware
    time, readings that lie after it are remarked."""
    rows = readings.frame.assign(
        group=groups_of(readings.frame), minutes=readings.frame["building_id"].map(readings.minutes).astype(float)
    )
    energy = rows["energy_usage_kwh"].astype(float)
    rows["load_kw"] = energy * 60 / rows["minutes"]
    expected = _expected_rows(rows)
    present = energy.notna().groupby(rows["group"]).sum()
    spikes = _spikes(rows)
    remarks = _remarks(rows, spikes, frozenset(homes))
    future = 0 if now is None else int((rows["measured_at"] > now).sum())
    if future:
        remarks.insert(0, f"{future:,} readings lie in the future: are day and month, and the time zone, right?")
    buildings = int(rows["building_id"].nunique())
    days = max(float((rows["minutes"]).sum()) / 1440 / max(rows["group"].nunique(), 1), 1e-9)
    return Preview(
        rows=len(rows), buildings=buildings, devices=int(rows["group"].nunique()), first=rows["measured_at"].min(),
        end=(rows["measured_at"] + pd.to_timedelta(rows["minutes"], unit="min")).max(),
        minutes=tuple(sorted(set(readings.minutes.values()))), kwh_per_day=float(energy.sum()) / days / buildings,
        gap_share=max(1 - float(present.sum()) / max(float(expected.sum()), 1.0), 0.0), zero_share=float((energy == 0).mean()),
        negative=int((energy < 0).sum()), spikes=len(spikes), remarks=tuple(remarks),
    )  # fmt: skip


def _expected_rows(rows: pd.DataFrame) -> pd.Series:
    by_device = rows.groupby("group").agg(
        first=("measured_at", "min"), last=("measured_at", "max"), minutes=("minutes", "min")
    )
    return (by_device["last"] - by_device["first"]) / pd.to_timedelta(by_device["minutes"], unit="min") + 1


def _spikes(rows: pd.DataFrame) -> pd.DataFrame:
    usual = rows.groupby("group")["energy_usage_kwh"].transform(lambda energy: energy.abs().quantile(0.99))
    return rows[(usual > 0) & (rows["energy_usage_kwh"].abs() > SPIKE_TIMES * usual)]


def _remarks(rows: pd.DataFrame, spikes: pd.DataFrame, homes: frozenset[str]) -> list[str]:
    mean_kw = rows.groupby("building_id")["load_kw"].mean()
    peak_kw = rows.groupby("building_id")["load_kw"].max()
    too_high, too_low = mean_kw[mean_kw > MAX_MEAN_KW], mean_kw[(mean_kw.abs() < MIN_MEAN_KW) & (mean_kw != 0)]
    home_peaks = peak_kw[peak_kw.index.isin(homes) & (peak_kw > MAX_HOME_KW)]
    registers = never_falling(rows["energy_usage_kwh"].to_numpy(np.float64), rows["group"].to_numpy(object))
    remarks = []
    if len(too_high):
        remarks.append(
            f"{_names(too_high)} would use {too_high.iloc[0]:,.0f} kW on average: is the unit Wh, or are these registers?"
        )
    if len(too_low):
        remarks.append(f"{_names(too_low)} would use {too_low.iloc[0] * 1000:.3g} W on average: is the unit MWh?")
    if len(home_peaks):
        remarks.append(
            f"{_names(home_peaks)} would need {home_peaks.iloc[0]:,.0f} kW, which no home does: is the unit right?"
        )
    if registers:
        remarks.append(f"The values of {registers[0].replace(chr(0), ' / ')} never fall: is this a register?")
    if negative := rows.loc[rows["energy_usage_kwh"] < 0, "building_id"].nunique():
        remarks.append(
            f"{negative} buildings have negative energy, which is rejected unless allows_negative_energy is true."
        )
    if len(spikes):
        first = spikes.iloc[0]
        remarks.append(
            f"{len(spikes)} readings are more than {SPIKE_TIMES:.0f} times the usual maximum, such as "
            f"{first['energy_usage_kwh']:,.1f} kWh of {first['building_id']} at {first['measured_at']:%Y-%m-%d %H:%M} UTC."
        )
    return remarks + _run_remarks(rows)


def _run_remarks(rows: pd.DataFrame) -> list[str]:
    """Runs of zeros, which may be gaps, and of the same value, which may be a stuck meter."""
    energy = rows["energy_usage_kwh"]
    changes = energy.ne(energy.shift()) | rows["group"].ne(rows["group"].shift())
    runs = rows.assign(run=changes.cumsum()).groupby("run").agg(
        building_id=("building_id", "first"), energy=("energy_usage_kwh", "first"), minutes=("minutes", "sum")
    )  # fmt: skip
    long_runs = runs[(runs["minutes"] >= MIN_RUN_HOURS * 60) & runs["energy"].notna()]
    zeros, stuck = long_runs[long_runs["energy"] == 0], long_runs[long_runs["energy"] != 0]
    remarks = []
    if len(zeros):
        hours = zeros["minutes"].max() / 60
        names = _names(zeros.set_index("building_id")["energy"])
        remarks.append(f"{names}: up to {hours:,.0f} hours of zeros at a time: are they gaps?")
    if len(stuck):
        hours = stuck["minutes"].max() / 60
        names = _names(stuck.set_index("building_id")["energy"])
        remarks.append(f"{names}: up to {hours:,.0f} hours of the same value: is a meter stuck?")
    return remarks


def _names(by_building: pd.Series) -> str:
    names = list(dict.fromkeys(map(str, by_building.index)))
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more
