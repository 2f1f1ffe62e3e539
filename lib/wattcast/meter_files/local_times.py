"""Local times of a zone as UTC: the repeated hour of autumn is kept twice, and times that do not exist are refused."""

import re
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd

from wattcast.meter_files.refusals import Ambiguous, FileRefused

OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?$")
UNREPEATED = "times in the repeated hour of autumn that occur once: taken as summer time"


@dataclass(frozen=True)
class UtcTimes:
    """Times without a zone, in UTC, NaT where the local time does not exist; and what was noticed, counted."""

    times: pd.Series
    problems: Counter[str]


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name or of an offset such as +01:00.

    Raises:
        FileRefused: there is no such zone.
    """
    if match := OFFSET.fullmatch(name.strip()):
        offset = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        return timezone(offset if match[1] == "+" else -offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise FileRefused(f"There is no time zone {name}: use a name such as Europe/Berlin, UTC or +01:00.") from error


def utc_times(local: pd.Series, groups: pd.Series, timezone: str, *, are_ends: bool) -> UtcTimes:
    """Local times (datetime64 without a zone, in the order of the file) in UTC. `groups` names the device of each row.

    A device's first row of a repeated local time is summer time, its second is standard time; the other way round where the
    device's rows go back in time. The end of an interval may be the time at which the clocks jump.

    Raises:
        Ambiguous: a time does not exist in the zone, so the file seems to have standard time all the year.
    """
    zone = zone_of(timezone)
    is_summer = _is_summer_time(local, groups, zone)
    skipped = local.dt.tz_localize(zone, ambiguous=is_summer.values, nonexistent="NaT").isna() & local.notna()
    if skipped.any():
        before = (local[skipped] - pd.Timedelta(seconds=1)).dt.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
        is_jump = before.notna() & are_ends
        if not is_jump.all():
            _refuse_skipped(local[skipped][~is_jump].iloc[0], timezone, zone)
    aware = local.dt.tz_localize(zone, ambiguous=is_summer.values, nonexistent="shift_forward")
    problems = Counter({UNREPEATED: int(_occurs_once(local, groups, zone).sum())})
    return UtcTimes(aware.dt.tz_convert("UTC").dt.tz_localize(None), +problems)


def midnights(days: pd.Series, zone: tzinfo) -> pd.Series:
    """The begin of each local day (datetime64 without a zone) in UTC."""
    is_summer = np.ones(len(days), bool)
    aware = days.dt.tz_localize(zone, ambiguous=is_summer, nonexistent="shift_forward")
    return pd.Series(aware.dt.tz_convert("UTC").dt.tz_localize(None), index=days.index)


def _is_ambiguous(local: pd.Series, zone: tzinfo) -> pd.Series:
    is_unclear = local.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()
    return pd.Series(local.notna() & is_unclear, index=local.index)


def _is_summer_time(local: pd.Series, groups: pd.Series, zone: tzinfo) -> pd.Series:
    is_ambiguous = _is_ambiguous(local, zone)
    if not is_ambiguous.any():
        return pd.Series(True, index=local.index)
    order = pd.DataFrame({"group": groups.to_numpy(), "local": local.to_numpy()}, index=local.index)
    ends = order.groupby("group")["local"].agg(["first", "last"])
    goes_back = order["group"].map(ends["last"] < ends["first"]).astype(bool)
    position = order.groupby(["group", "local"]).cumcount()
    count = order.groupby(["group", "local"])["local"].transform("size")
    is_first = np.where(goes_back & (count > 1), position > 0, position == 0)
    return pd.Series(is_first, index=local.index) | ~is_ambiguous


def _occurs_once(local: pd.Series, groups: pd.Series, zone: tzinfo) -> pd.Series:
    is_ambiguous = _is_ambiguous(local, zone)
    if not is_ambiguous.any():
        return is_ambiguous
    order = pd.DataFrame({"group": groups.to_numpy(), "local": local.to_numpy()}, index=local.index)
    return is_ambiguous & (order.groupby(["group", "local"])["local"].transform("size") == 1)


def _refuse_skipped(time: pd.Timestamp, name: str, zone: tzinfo) -> None:
    offset = pd.Timestamp(time.year, 1, 1, tzinfo=zone).strftime("%z")
    standard = f"{offset[:3]}:{offset[3:]}"
    raise Ambiguous(
        f"{time:%Y-%m-%d %H:%M} does not exist in {name}, where the clocks go forward; the file seems to have standard time all "
        "the year.",
        "timezone",
        {f"--timezone {standard}": standard},
    )
