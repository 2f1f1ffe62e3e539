"""Health of meters, buildings and forecasts from their newest records: silence, lateness, noise, completeness, age (pandas)."""

from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from wattcast.measurements import FLEET, combined, measurement_row, measurement_rows

DAY = pd.Timedelta(days=1)
STUCK_WINDOW = pd.Timedelta(days=2)  # the longest time over which a constant value is looked for
# Measures that grow while nothing arrives, with their scope.
AGES = {"meter_silent_minutes": "device", "freshness_minutes": "building", "forecast_age_minutes": "building",
        "check_in_minutes": "query"}  # fmt: skip
DEFAULT_INTERVAL_MINUTES = 60.0  # of a device without an interval in the metadata and with a single reading
CLOSED_HOURS = 24


def device_measurements(readings: pd.DataFrame, as_of: pd.Timestamp, *, grace_minutes: int) -> pd.DataFrame:
    """The measures of devices and buildings, from the records of the last STUCK_WINDOW or more, by arrival.

    `readings`: building_id, device_id, measured_at, kafka_timestamp, accepted, energy_usage_kwh, interval_minutes (null where
    unknown). The subject of a device is building/device, or the building where device_id is null or equal to it. A record
    without a building belongs to no device and is ignored.
    """
    records = readings[readings["building_id"].notna()]
    records = records.assign(device=_device_subjects(records))
    last_day = records[records["kafka_timestamp"] > as_of - DAY]
    accepted = with_interval_ends(records[records["accepted"].astype(bool)], ["device"])
    first = first_arrivals(accepted, ["device"], after=as_of - DAY, grace_minutes=grace_minutes)
    by_device = accepted.groupby("device")
    recent = accepted[accepted["kafka_timestamp"] > as_of - STUCK_WINDOW]
    recent = recent.sort_values(["measured_at", "kafka_timestamp"], kind="stable")
    recent = recent.drop_duplicates(["device", "measured_at"], keep="last")
    silent = _minutes(as_of - by_device["kafka_timestamp"].max())
    freshness = _minutes(as_of - accepted.groupby("building_id")["end"].max())
    return combined([
        measurement_rows("meter_silent_minutes", "device", silent, by_device.size()),
        measurement_rows("freshness_minutes", "building", freshness),
        measurement_rows("meter_stuck_hours", "device", stuck_hours(recent, ["device"])),
        measurement_rows("meter_noise", "device", noise(recent, ["device"]), recent.groupby("device").size()),
        measurement_rows("meter_late_share", "device", *_share(first["is_late"], first["device"])),
        measurement_rows("meter_rejected_share", "device", *_share(~last_day["accepted"].astype(bool), last_day["device"])),
    ])  # fmt: skip


def with_interval_ends(readings: pd.DataFrame, device: list[str]) -> pd.DataFrame:
    """Accepted `readings` with `minutes`, the interval of their device, and `end`, the end of their own interval.

    The interval is the one in the metadata (the column interval_minutes), else the median step between the readings of the
    device, else DEFAULT_INTERVAL_MINUTES. `device`: the columns that name it.
    """
    times = readings[[*device, "measured_at"]].drop_duplicates().sort_values([*device, "measured_at"])
    step = times.groupby(device)["measured_at"].diff().dt.total_seconds() / 60
    median = step.groupby([times[name] for name in device]).median().rename("median")
    inferred = readings[device].join(median, on=device)["median"].fillna(DEFAULT_INTERVAL_MINUTES)
    minutes = readings["interval_minutes"].astype(float).fillna(inferred)
    return readings.assign(minutes=minutes, end=readings["measured_at"] + pd.to_timedelta(minutes, unit="min"))


def first_arrivals(readings: pd.DataFrame, device: list[str], *, after: datetime, grace_minutes: float) -> pd.DataFrame:
    """Of readings `with_interval_ends`, those that first arrived after a time, with `is_late`: more than `grace_minutes` after
    the end of their interval. Repeated and corrected readings say nothing about the delay, so only first arrivals count."""
    first = readings.sort_values("kafka_timestamp", kind="stable").drop_duplicates([*device, "measured_at"])
    first = first[first["kafka_timestamp"] > after]
    return first.assign(is_late=first["kafka_timestamp"] > first["end"] + pd.Timedelta(minutes=grace_minutes))


def stuck_hours(newest: pd.DataFrame, device: list[str]) -> pd.Series:
    """By device, the hours from the start of the first to the end of the last of its newest readings with one same value.

    `newest`: the columns that name the device, measured_at, end and energy_usage_kwh, one reading per time, in time order.
    """
    is_other = newest["energy_usage_kwh"] != newest.groupby(device)["energy_usage_kwh"].transform("last")
    changed = newest["measured_at"].where(is_other).groupby([newest[name] for name in device]).transform("max")
    constant = newest[~(newest["measured_at"] <= changed)].groupby(device)
    hours: pd.Series = (constant["end"].max() - constant["measured_at"].min()).dt.total_seconds() / 3600
    return hours


def noise(newest: pd.DataFrame, device: list[str]) -> pd.Series:
    """By device, the mean distance of its readings from the running median of three, divided by their mean size.

    A load that rises or falls is close to its median of three, however steep; spikes and jitter are not. `newest` is as for
    `stuck_hours`. A device with fewer than three readings, or with only zeros, has no value.
    """
    by_device = newest.groupby(device)["energy_usage_kwh"]
    three = pd.concat([by_device.shift(1), newest["energy_usage_kwh"], by_device.shift(-1)], axis=1)
    distance = (newest["energy_usage_kwh"] - three.median(axis=1)).abs().where(three.notna().all(axis=1))
    groups = [newest[name] for name in device]
    size = newest["energy_usage_kwh"].abs().groupby(groups).mean()
    relative: pd.Series = distance.groupby(groups).mean() / size.where(size > 0)
    return relative.dropna()


def age_unseen(before: pd.DataFrame, seen: pd.DataFrame, as_of: pd.Timestamp, *, forget_days: int) -> pd.DataFrame:
    """AGES of the subjects that are in `before` and not in `seen`: the earlier age plus the time since. A subject older than
    `forget_days` is left out. `before`: rows of `health`, the newest of each subject."""
    parts = []
    for measure, scope in AGES.items():
        earlier = before[(before["measure"] == measure) & (before["scope"] == scope)].set_index("subject")
        unseen = earlier[~earlier.index.isin(seen.loc[seen["measure"] == measure, "subject"])]
        age = unseen["value"] + _minutes(as_of - unseen["as_of"])
        parts.append(measurement_rows(measure, scope, age[age <= forget_days * 24 * 60]))
    return combined(parts)


def fleet_ages(ages: pd.DataFrame) -> pd.DataFrame:
    """`freshness_minutes` and `forecast_age_minutes` of the fleet: the minimum over its buildings."""
    parts = []
    for measure in ("freshness_minutes", "forecast_age_minutes"):
        values = ages.loc[(ages["measure"] == measure) & (ages["scope"] == "building"), "value"]
        if len(values):
            parts.append(measurement_row(measure, FLEET, FLEET, values.min(), len(values)))
    return combined(parts)


def closed_day(as_of: pd.Timestamp, *, max_wait_minutes: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Start and end of the last CLOSED_HOURS hours that are closed for certain."""
    end = (as_of - pd.Timedelta(minutes=max_wait_minutes)).floor("h")
    return end - pd.Timedelta(hours=CLOSED_HOURS), end


def completeness(hours: pd.DataFrame, buildings: Iterable[str]) -> pd.DataFrame:
    """The share of the hours of `closed_day` that are present and complete, by building and of the fleet.

    `hours`: building_id, hour, coverage (null: unknown, counts as complete) of the newest revisions of that day. `buildings`:
    those that should have hours.
    """
    complete = hours[~(hours["coverage"].astype(float) < 1)]
    counts = complete.groupby("building_id")["hour"].nunique().reindex(sorted(set(buildings)), fill_value=0)
    if not len(counts):
        return combined([])
    shares = measurement_rows("completeness", "building", counts / CLOSED_HOURS, counts * 0 + CLOSED_HOURS)
    expected = CLOSED_HOURS * len(counts)
    return combined([shares, measurement_row("completeness", FLEET, FLEET, counts.sum() / expected, expected)])


def unusable_hours(hours: pd.DataFrame, buildings: Iterable[str]) -> pd.DataFrame:
    """`unusable_hours` of each building. `hours`: building_id and hour of the revisions of the last day with an unusable flag."""
    counts = hours.groupby("building_id")["hour"].nunique()
    return measurement_rows("unusable_hours", "building", counts.reindex(sorted(set(buildings)), fill_value=0))


def forecast_ages(newest: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """`forecast_age_minutes` by building. `newest`: building_id and the origin of its newest live forecast."""
    age = _minutes(as_of - newest.set_index("building_id")["origin"])
    return measurement_rows("forecast_age_minutes", "building", age)


def missing_forecast_age(first_hour: pd.Timestamp, as_of: pd.Timestamp) -> pd.DataFrame:
    """`forecast_age_minutes` of a fleet without any forecast: the time since its first hour."""
    age = float((as_of - first_hour) / pd.Timedelta(minutes=1))
    return measurement_row("forecast_age_minutes", FLEET, FLEET, age, 0, "no forecast was ever made")


def rejected_shares(records: int, rejected: int, by_rule: pd.Series) -> pd.DataFrame:
    """`rejected_share` of the fleet and by rejection rule, of the records of a day; `by_rule` counts the records of each rule."""
    if not records:
        return combined([])
    return combined([
        measurement_row("rejected_share", FLEET, FLEET, rejected / records, records),
        measurement_rows("rejected_share", "rule", by_rule / records, by_rule),
    ])  # fmt: skip


def check_in_ages(newest: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """`check_in_minutes` of each streaming query: since it last wrote its progress. `newest`: subject, measured_at."""
    age = _minutes(now - newest.set_index("subject")["measured_at"])
    return measurement_rows("check_in_minutes", "query", age)


def _device_subjects(records: pd.DataFrame) -> pd.Series:
    name = records["device_id"].where(records["device_id"].notna(), records["building_id"])
    is_building = name == records["building_id"]
    return records["building_id"].where(is_building, records["building_id"] + "/" + name)


def _share(condition: pd.Series, by: pd.Series) -> tuple[pd.Series, pd.Series]:
    """By group, the share of the rows that fulfil the condition, and the number of rows."""
    groups = condition.astype(float).groupby(by)
    return groups.mean(), groups.size()


def _minutes(ages: pd.Series) -> pd.Series:
    minutes: pd.Series = pd.to_timedelta(ages).dt.total_seconds() / 60
    return minutes
