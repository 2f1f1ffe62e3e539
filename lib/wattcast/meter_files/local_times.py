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
    codes, distinct = pd.factorize(local)
    shown = pd.Series(distinct)
    summer, standard = _in_utc(shown, zone, True), _in_utc(shown, zone, False)
    is_skipped = summer.isna().to_numpy()
    if is_skipped.any():
        before = _in_utc(shown[is_skipped] - pd.Timedelta(seconds=1), zone, True)
        is_jump = before.notna() & are_ends
        if not is_jump.all():
            _refuse_skipped(shown[is_skipped][~is_jump].iloc[0], timezone, zone)
        summer[is_skipped] = standard[is_skipped] = before + pd.Timedelta(seconds=1)
    is_repeated = pd.Series((summer != standard).to_numpy()[codes] & (codes >= 0), index=local.index)
    is_first, occurs_once = _is_first(local[is_repeated], groups[is_repeated], groups, local)
    at = pd.Series(summer.to_numpy()[codes], index=local.index)
    later = is_first.index[~is_first]
    at[later] = standard.to_numpy()[codes[local.index.get_indexer(later)]]
    problems = Counter({UNREPEATED: occurs_once})
    return UtcTimes(at.mask(local.isna()), +problems)


def _in_utc(local: pd.Series, zone: tzinfo, is_summer: bool) -> pd.Series:
    """Local times in UTC, repeated ones as summer time or not; NaT where they do not exist."""
    aware = local.dt.tz_localize(zone, ambiguous=np.full(len(local), is_summer), nonexistent="NaT")
    return pd.Series(aware.dt.tz_convert("UTC").dt.tz_localize(None), index=local.index)


def _is_first(repeated: pd.Series, groups: pd.Series, all_groups: pd.Series, local: pd.Series) -> tuple[pd.Series, int]:
    """Whether each row in a repeated hour is the first in time, by its place in the file; and how many occur once."""
    if repeated.empty:
        return pd.Series(dtype=bool), 0
    ends = local.groupby(all_groups).agg(["first", "last"])
    rows = pd.DataFrame({"group": groups, "local": repeated})
    goes_back = rows["group"].map(ends["last"] < ends["first"]).astype(bool)
    position = rows.groupby(["group", "local"]).cumcount()
    count = rows.groupby(["group", "local"])["local"].transform("size")
    is_first = (position == 0) ^ (goes_back & (count > 1))
    return is_first, int((count == 1).sum())


def midnights(days: pd.Series, zone: tzinfo) -> pd.Series:
    """The begin of each local day (datetime64 without a zone) in UTC."""
    is_summer = np.ones(len(days), bool)
    aware = days.dt.tz_localize(zone, ambiguous=is_summer, nonexistent="shift_forward")
    return pd.Series(aware.dt.tz_convert("UTC").dt.tz_localize(None), index=days.index)


def _refuse_skipped(time: pd.Timestamp, name: str, zone: tzinfo) -> None:
    offset = pd.Timestamp(time.year, 1, 1, tzinfo=zone).strftime("%z")
    standard = f"{offset[:3]}:{offset[3:]}"
    raise Ambiguous(
        f"{time:%Y-%m-%d %H:%M} does not exist in {name}, where the clocks go forward; the file seems to have standard time all "
        "the year.",
        "timezone",
        {f"--timezone {standard}": standard},
    )
