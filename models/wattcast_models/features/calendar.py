"""The local calendar of hours: clock, weekday, season and days off in the building's time zone, correct over clock changes."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import numpy as np
import pandas as pd
from numpy.typing import NDArray

HOUR, WEEKDAY, DAY_OF_YEAR, OFFSET_HOURS, WEEKEND, HOLIDAY, DAY_OFF, OFF_BEFORE, OFF_AFTER = range(9)
COLUMNS = 9

# The subdivision whose public holidays count if only the country is given and its holidays differ between subdivisions.
MOST_POPULOUS_PART = {"GB": "ENG"}


def local_calendar(
    hours: NDArray[np.int64], timezone: Sequence[str], country: Sequence[str], closures: Sequence[str]
) -> NDArray[np.int16]:
    """The local calendar of UTC `hours` since 1970, (rows, hours) -> (rows, hours, COLUMNS); one place per row.

    An unknown time zone counts as UTC. An unknown country has Saturday and Sunday off and no public holidays.
    """
    calendar = np.empty((*hours.shape, COLUMNS), np.int16)
    if not calendar.size:
        return calendar
    years = np.stack([hours.min(axis=1), hours.max(axis=1)], axis=1).astype("datetime64[h]").astype("datetime64[Y]")
    rows_of: dict[tuple[str, str, str, int, int], list[int]] = {}
    places = zip(timezone, country, closures, years.astype(np.int64) + 1970, strict=True)
    for row, (zone, land, closed, (first, last)) in enumerate(places):
        rows_of.setdefault((zone, land, closed, int(first), int(last)), []).append(row)
    for place_and_years, rows in rows_of.items():
        start, table = _table(*place_and_years)
        calendar[rows] = table[hours[rows] - start]
    return calendar


@lru_cache(maxsize=512)  # a table of some years takes milliseconds to build, and the buildings of a site share it
def _table(
    timezone: str, country: str, closures: str, first_year: int, last_year: int
) -> tuple[int, NDArray[np.int16]]:
    """The first hour since 1970 and the calendar of every hour of these years, (hours, COLUMNS)."""
    start, end = (int(np.datetime64(f"{year:04d}-01-01", "h").astype(np.int64)) for year in (first_year, last_year + 1))
    utc = pd.DatetimeIndex(np.arange(start, end).astype("datetime64[h]").astype("datetime64[s]"), tz="UTC")
    local = utc.tz_convert(zone(timezone)).tz_localize(None)
    days = local.to_numpy().astype("datetime64[D]")
    weekend_days, public = _weekend_and_holidays(country, first_year, last_year)
    closed = _closure_days(closures, first_year, last_year)

    def is_weekend(day: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        return np.isin((day.astype(np.int64) + 3) % 7, weekend_days)  # 1970-01-01 was a Thursday, 3

    def is_holiday(day: NDArray[np.datetime64]) -> NDArray[np.bool_]:
        return np.isin(day, public) | np.isin(day, closed)

    table = np.empty((end - start, COLUMNS), np.int16)
    table[:, HOUR], table[:, WEEKDAY], table[:, DAY_OF_YEAR] = local.hour, local.weekday, local.dayofyear
    table[:, OFFSET_HOURS] = (local - utc.tz_localize(None)) // pd.Timedelta(hours=1)
    table[:, WEEKEND], table[:, HOLIDAY] = is_weekend(days), is_holiday(days)
    for column, shift in ((DAY_OFF, 0), (OFF_BEFORE, -1), (OFF_AFTER, 1)):
        table[:, column] = is_weekend(days + shift) | is_holiday(days + shift)
    return start, table


def zone(timezone: str) -> ZoneInfo:
    """The time zone of this name; UTC for an unknown or empty name."""
    try:
        return ZoneInfo(timezone or "UTC")
    except (KeyError, ValueError, OSError):  # an unknown name, a malformed name, a folder of the database
        return ZoneInfo("UTC")


def _weekend_and_holidays(country: str, first_year: int, last_year: int) -> tuple[list[int], NDArray[np.datetime64]]:
    """Weekday numbers of the weekend and the public holidays of an ISO 3166 country ("GB") or part ("GB-SCT")."""
    code, _, part = country.upper().partition("-")
    subdivisions: Any = holidays.list_supported_countries()  # by country
    if code not in subdivisions:
        return [5, 6], np.array([], "datetime64[D]")
    part = part or MOST_POPULOUS_PART.get(code, "")
    subdivision = part if part in subdivisions[code] else None
    calendar = holidays.country_holidays(code, subdiv=subdivision, years=range(first_year - 1, last_year + 2))
    return sorted(calendar.weekend), np.array(sorted(calendar), "datetime64[D]")


def _closure_days(closures: str, first_year: int, last_year: int) -> NDArray[np.datetime64]:
    """The days of "12-24 12-27" in each year, 02-29 only in leap years. Words that are not MM-DD are ignored."""
    days = []
    for year in range(first_year - 1, last_year + 2):
        for month_day in closures.split():
            try:
                days.append(date.fromisoformat(f"{year:04d}-{month_day}"))
            except ValueError:
                continue
    return np.array(days, "datetime64[D]")
