"""Times in texts: their parts, the order of day and month, and numbers that count from 1970."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.detection.headers import normalised
from wattcast.meter_files.mapping import DateOrder, Evidence
from wattcast.meter_files.refusals import Ambiguous, FileRefused

CLOCK = (
    r"(?P<hour>\d{1,2})[:.h](?P<minute>\d{2})(?:[:.](?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?\s?[Mm]\.?)?"
)
ZONE = r"(?P<zone>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?|CEST|CET|MESZ|MEZ|BST|WEST|WET|EEST|EET)"
DATE = (
    r"(?:(?P<year>\d{4})[-/.](?P<month>\d{1,2})[-/.](?P<day>\d{1,2})"
    r"|(?P<compact>\d{8})"
    r"|(?P<one>\d{1,2})(?P<mark>[-/.\s])\s?(?P<two>\d{1,2}|[^\W\d_]{3,9}\.?)[-/.\s]\s?(?P<last>\d{4}|\d{2}))"
)
STAMP = re.compile(rf"\s*{DATE}(?:\s*(?:T|\s|,|;|\bum\b)\s*{CLOCK})?\s*{ZONE}?(?:\s*Uhr)?\s*", re.IGNORECASE)
RANGE_END = re.compile(r"\s+[-–]\s+\d.*$")  # of 01.03.2026 00:00 - 01.03.2026 00:15
CLOCK_ONLY = re.compile(rf"\s*{CLOCK}(?:\s*Uhr)?\s*", re.IGNORECASE)
OFFSETS = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "CET": 60, "MEZ": 60, "BST": 60, "WEST": 60, "CEST": 120, "MESZ": 120, "EET": 120,
    "EEST": 180,
}  # fmt: skip
MONTHS = (
    "jan|ene|gen", "feb|fev|fevr", "mar|mars|marz|maerz|mrz|mrt|maart", "apr|avr|abr|avril", "may|mai|mei|mayo", "jun|juin",
    "jul|juil|juillet", "aug|aou|aout|ago", "sep|sept", "oct|okt", "nov", "dec|dez|dic",
)  # fmt: skip
MONTH_OF = {word: number for number, words in enumerate(MONTHS, start=1) for word in words.split("|")}
EPOCH_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
FIRST_S, LAST_S = 946_684_800, 7_258_118_400  # the years 2000 to 2199, as in the contract of readings
DAY_S = 86_400
MAX_YEARS_OF_A_DAY, LAST_DAY_AS_YEAR = 2, 2031  # of times that all lie on the same day of the month
MAX_STEP_S = 27 * DAY_S  # dates in the wrong order jump by a month


class Stamp(NamedTuple):
    """The parts of one text. `day` and `month` are as written where `order` is None: then either may be the day."""

    year: int
    first: int
    second: int
    order: DateOrder | None
    seconds: int  # of the day; 86,400 for 24:00
    microseconds: int
    offset_minutes: int | None
    is_date_only: bool


def stamp(text: str) -> Stamp | None:
    """The parts of a text, of the start where it is a range; None if it is no time. Whether the day exists is not checked."""
    match = STAMP.fullmatch(text) or STAMP.fullmatch(RANGE_END.sub("", text))
    if match is None:
        return None
    order: DateOrder | None = "year"
    if match["year"]:
        year, first, second = int(match["year"]), int(match["month"]), int(match["day"])
    elif match["compact"]:
        compact = match["compact"]
        year, first, second = int(compact[:4]), int(compact[4:6]), int(compact[6:])
    else:
        year = int(match["last"]) + (2000 if len(match["last"]) == 2 else 0)
        if match["two"].isdigit():
            first, second, order = int(match["one"]), int(match["two"]), None
        elif month := _month(match["two"]):
            first, second = month, int(match["one"])
        else:
            return None
    seconds = clock_seconds(match) if match["hour"] else 0
    if seconds is None:
        return None
    micro = int(f"{match['fraction'] or '0':0<6}"[:6])
    return Stamp(year, first, second, order, seconds, micro, _offset(match["zone"]), not match["hour"])


def _month(word: str) -> int | None:
    normal = normalised(word)
    return MONTH_OF.get(normal) or MONTH_OF.get(normal[:3])


def clock_seconds(match: re.Match[str]) -> int | None:
    """The seconds of the day of a matched clock, up to 24:00; None for a time of day that does not exist."""
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"] or 0)
    if half := match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half[0] in "pP" else 0)
    seconds = hour * 3600 + minute * 60 + second
    return seconds if minute < 60 and second < 60 and seconds <= DAY_S else None


def time_of_day(text: str) -> int | None:
    """The seconds of the day of a text such as 00:15 or 24:00; None if it is none."""
    match = CLOCK_ONLY.fullmatch(text)
    return clock_seconds(match) if match else None


def _offset(zone: str | None) -> int | None:
    if zone is None:
        return None
    if zone.upper() in OFFSETS:
        return OFFSETS[zone.upper()]
    minutes = int(zone[1:3]) * 60 + int(zone[3:].lstrip(":") or 0)
    return -minutes if zone[0] == "-" else minutes


def epoch_unit(values: Iterable[float]) -> str | None:
    """The unit of numbers that count from 1970 in the years 2000 to 2199: s, ms, us or ns; None if they do not."""
    finite = [value for value in values if np.isfinite(value)]
    for unit, per_second in EPOCH_UNITS.items():
        if finite and all(FIRST_S <= value / per_second < LAST_S for value in finite):
            return unit
    return None


def date_order(stamps: list[Stamp]) -> Evidence:
    """Whether the day or the month comes first, of stamps in the order of the file.

    Raises:
        Ambiguous: both orders are possible.
    """
    open_ones = [one for one in stamps if one.order is None]
    if not open_ones:
        return Evidence("date_order", "year", "dates begin with the year or name the month")
    if any(one.first > 12 for one in open_ones):
        _refuse_short_years(open_ones)
        return Evidence("date_order", "day", f"the first number reaches {max(one.first for one in open_ones)}")
    if any(one.second > 12 for one in open_ones):
        return Evidence("date_order", "month", f"the second number reaches {max(one.second for one in open_ones)}")
    jumps = {name: _largest_step(open_ones, name == "day") for name in ("day", "month")}
    for name, other in (("day", "month"), ("month", "day")):
        if jumps[name] < MAX_STEP_S <= jumps[other]:
            return Evidence("date_order", name, f"with the {other} first the times would jump by a month")
    example = open_ones[0]
    raise Ambiguous(
        f"Dates such as {example.first:02}/{example.second:02}/{example.year} may begin with the day or the month.",
        "date_order",
        {"--dayfirst": "day", "--monthfirst": "month"},
    )


def _refuse_short_years(stamps: list[Stamp]) -> None:
    """Refuse dates such as 26-03-01 whose year of two digits seems to come first: their day varies, not their year."""
    firsts, years = {one.first for one in stamps}, {one.year for one in stamps}
    if len(firsts) == 1 and len(years) > MAX_YEARS_OF_A_DAY and max(years) <= LAST_DAY_AS_YEAR:
        raise FileRefused(
            f"Dates seem to begin with the year {min(firsts)} in two digits: write years with four digits."
        )


def _largest_step(stamps: list[Stamp], is_day_first: bool) -> float:
    times = local_seconds(stamps, "day" if is_day_first else "month")
    distinct = np.unique(times[~np.isnan(times)])
    return float(np.diff(distinct).max()) if len(distinct) > 1 else 0.0


def local_seconds(stamps: Iterable[Stamp | None], order: DateOrder) -> npt.NDArray[np.float64]:
    """Seconds since 1970 of the clock that each stamp shows, without its offset; NaN where there is no such time."""
    values = []
    for one in stamps:
        if one is None or (one.order is None and order == "year"):
            values.append(np.nan)
            continue
        month, day = (one.second, one.first) if one.order is None and order == "day" else (one.first, one.second)
        values.append(_seconds_of(one.year, month, day) + one.seconds + one.microseconds / 1e6)
    return np.array(values, np.float64)


def _seconds_of(year: int, month: int, day: int) -> float:
    try:
        return pd.Timestamp(year, month, day).timestamp() if 1970 <= year < 2200 else np.nan
    except ValueError:
        return np.nan
