"""Signs of life: what is heard of devices and buildings, how late, how whole, and how old their forecasts are (pandas)."""

from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from wattcast.measures import FLEET, one_row, rows_of, together

DAY = pd.Timedelta(days=1)
STUCK_WINDOW = pd.Timedelta(days=2)  # in which a value must have changed; longer is not looked back
# What grows while nothing comes.
AGES = {"meter_silent_minutes": "device", "freshness_minutes": "building", "forecast_age_minutes": "building",
        "check_in_minutes": "query"}  # fmt: skip
UNKNOWN_INTERVAL_MINUTES = 60.0  # of a device that metadata do not tell of and that was heard once
CLOSED_HOURS = 24


def of_devices(readings: pd.DataFrame, as_of: pd.Timestamp, *, grace_minutes: int) -> pd.DataFrame:
    """What the records of STUCK_WINDOW or more, by arrival, say of their devices and buildings.

    `readings`: building_id, device_id, measured_at, kafka_timestamp, accepted, energy_usage_kwh, interval_minutes (null where
    unknown). A device that has the name of its building, or none, is named so, else building/device. A record that names no
    building says nothing of a device.
    """
    known = readings[readings["building_id"].notna()]
    own = known["device_id"].where(known["device_id"].notna(), known["building_id"])
    device = known["building_id"].where(own == known["building_id"], known["building_id"] + "/" + own)
    known = known.assign(device=device)
    today = known[known["kafka_timestamp"] > as_of - DAY]
    good = with_ends(known[known["accepted"].astype(bool)], ["device"])
    first = first_arrivals(good, ["device"], after=as_of - DAY, grace_minutes=grace_minutes)
    by_device = good.groupby("device")
    recent = good[good["kafka_timestamp"] > as_of - STUCK_WINDOW].sort_values(
        ["measured_at", "kafka_timestamp"], kind="stable"
    )
    recent = recent.drop_duplicates(["device", "measured_at"], keep="last")
    return together([
        rows_of("meter_silent_minutes", "device", _minutes(as_of - by_device["kafka_timestamp"].max()), by_device.size()),
        rows_of("freshness_minutes", "building", _minutes(as_of - good.groupby("building_id")["end"].max())),
        rows_of("meter_stuck_hours", "device", stuck_hours(recent, ["device"])),
        rows_of("meter_noise", "device", noise(recent, ["device"]), recent.groupby("device").size()),
        rows_of("meter_late_share", "device", *_share(first["is_late"], first["device"])),
        rows_of("meter_rejected_share", "device", *_share(~today["accepted"].astype(bool), today["device"])),
    ])  # fmt: skip


def with_ends(readings: pd.DataFrame, device: list[str]) -> pd.DataFrame:
    """Accepted `readings` with `minutes`, how long the intervals of their device are, and `end`, that of their own interval.

    The length is what metadata declare (the column interval_minutes), where they do not the median step between the readings of
    the device, and of one that was heard once UNKNOWN_INTERVAL_MINUTES. `device`: the columns that name it.
    """
    times = readings[[*device, "measured_at"]].drop_duplicates().sort_values([*device, "measured_at"])
    step = times.groupby(device)["measured_at"].diff().dt.total_seconds() / 60
    usual = step.groupby([times[name] for name in device]).median().rename("usual")
    inferred = readings[device].join(usual, on=device)["usual"].fillna(UNKNOWN_INTERVAL_MINUTES)
    minutes = readings["interval_minutes"].astype(float).fillna(inferred)
    return readings.assign(minutes=minutes, end=readings["measured_at"] + pd.to_timedelta(minutes, unit="min"))


def first_arrivals(readings: pd.DataFrame, device: list[str], *, after: datetime, grace_minutes: float) -> pd.DataFrame:
    """Of readings `with_ends`, those that first arrived after a time, with `is_late`: more than `grace_minutes` after
    the end of its interval. What is sent again or corrected says nothing of how long the way was."""
    first = readings.sort_values("kafka_timestamp", kind="stable").drop_duplicates([*device, "measured_at"])
    first = first[first["kafka_timestamp"] > after]
    return first.assign(is_late=first["kafka_timestamp"] > first["end"] + pd.Timedelta(minutes=grace_minutes))


def stuck_hours(newest: pd.DataFrame, device: list[str]) -> pd.Series:
    """By device: hours from the start of the first to the end of the last of its newest readings that have one value.

    `newest`: the columns that name the device, measured_at, end and energy_usage_kwh of one reading a time, in the order of time.
    """
    is_other = newest["energy_usage_kwh"] != newest.groupby(device)["energy_usage_kwh"].transform("last")
    changed = newest["measured_at"].where(is_other).groupby([newest[name] for name in device]).transform("max")
    alike = newest[~(newest["measured_at"] <= changed)].groupby(device)
    lasted: pd.Series = (alike["end"].max() - alike["measured_at"].min()).dt.total_seconds() / 3600
    return lasted


def noise(newest: pd.DataFrame, device: list[str]) -> pd.Series:
    """By device: the mean distance of its readings from the running median of three, over their mean size.

    A load that rises and falls is near its median of three, however steep; spikes and jitter are not. `newest` is as for
    `stuck_hours`; nothing is told of a device with fewer than three readings, or of one that is at zero.
    """
    by_device = newest.groupby(device)["energy_usage_kwh"]
    three = pd.concat([by_device.shift(1), newest["energy_usage_kwh"], by_device.shift(-1)], axis=1)
    distance = (newest["energy_usage_kwh"] - three.median(axis=1)).abs().where(three.notna().all(axis=1))
    groups = [newest[name] for name in device]
    size = newest["energy_usage_kwh"].abs().groupby(groups).mean()
    found: pd.Series = distance.groupby(groups).mean() / size.where(size > 0)
    return found.dropna()


def grown(before: pd.DataFrame, heard: pd.DataFrame, as_of: pd.Timestamp, *, forget_days: int) -> pd.DataFrame:
    """The AGES, as of now, of what was heard earlier and is not in `heard`: the age at the evaluation before, and the time since.
    After `forget_days` of silence a thing is forgotten. `before`: rows of `health`, the newest of each subject."""
    parts = []
    for measure, scope in AGES.items():
        old = before[(before["measure"] == measure) & (before["scope"] == scope)].set_index("subject")
        gone = old[~old.index.isin(heard.loc[heard["measure"] == measure, "subject"])]
        age = gone["value"] + _minutes(as_of - gone["as_of"])
        parts.append(rows_of(measure, scope, age[age <= forget_days * 24 * 60]))
    return together(parts)


def of_fleet(ages: pd.DataFrame) -> pd.DataFrame:
    """`freshness_minutes` and `forecast_age_minutes` of the fleet: the least of its buildings'."""
    parts = []
    for measure in ("freshness_minutes", "forecast_age_minutes"):
        values = ages.loc[(ages["measure"] == measure) & (ages["scope"] == "building"), "value"]
        if len(values):
            parts.append(one_row(measure, FLEET, FLEET, values.min(), len(values)))
    return together(parts)


def closed_day(as_of: pd.Timestamp, *, max_wait_minutes: int) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The last CLOSED_HOURS that must be closed by now: their first start and their last end."""
    end = (as_of - pd.Timedelta(minutes=max_wait_minutes)).floor("h")
    return end - pd.Timedelta(hours=CLOSED_HOURS), end


def completeness(hours: pd.DataFrame, buildings: Iterable[str]) -> pd.DataFrame:
    """The share of the hours of `closed_day` that are there and whole, by building and of the fleet.

    `hours`: building_id, hour, coverage (null: unknown, counts as whole) of the newest revisions of that day; `buildings` are
    those of which hours are expected.
    """
    whole = hours[~(hours["coverage"].astype(float) < 1)]
    counts = whole.groupby("building_id")["hour"].nunique().reindex(sorted(set(buildings)), fill_value=0)
    if not len(counts):
        return together([])
    shares = rows_of("completeness", "building", counts / CLOSED_HOURS, counts * 0 + CLOSED_HOURS)
    expected = CLOSED_HOURS * len(counts)
    return together([shares, one_row("completeness", FLEET, FLEET, counts.sum() / expected, expected)])


def forecast_ages(newest: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """`forecast_age_minutes` by building. `newest`: building_id and the origin of its newest live forecast."""
    return rows_of("forecast_age_minutes", "building", _minutes(as_of - newest.set_index("building_id")["origin"]))


def never_forecast(first_hour: pd.Timestamp, as_of: pd.Timestamp) -> pd.DataFrame:
    """`forecast_age_minutes` of a fleet that has no forecast: since the first hour after which there could have been one."""
    age = float((as_of - first_hour) / pd.Timedelta(minutes=1))
    return one_row("forecast_age_minutes", FLEET, FLEET, age, 0, "there has been none at all")


def rejected_shares(records: int, rejected: int, by_rule: pd.Series) -> pd.DataFrame:
    """`rejected_share` of the fleet and by rule, of the records of a day; `by_rule` counts how many broke a rule."""
    if not records:
        return together([])
    return together([
        one_row("rejected_share", FLEET, FLEET, rejected / records, records),
        rows_of("rejected_share", "rule", by_rule / records, by_rule),
    ])  # fmt: skip


def check_ins(newest: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """`check_in_minutes` of each streaming query: since it wrote its progress. `newest`: subject, measured_at."""
    return rows_of("check_in_minutes", "query", _minutes(now - newest.set_index("subject")["measured_at"]))


def _share(is_so: pd.Series, by: pd.Series) -> tuple[pd.Series, pd.Series]:
    groups = is_so.astype(float).groupby(by)
    return groups.mean(), groups.size()


def _minutes(ages: pd.Series) -> pd.Series:
    minutes: pd.Series = pd.to_timedelta(ages).dt.total_seconds() / 60
    return minutes
