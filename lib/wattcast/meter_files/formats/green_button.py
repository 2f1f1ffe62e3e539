"""Green Button: the Atom feeds of ESPI XML that North American utilities give to their customers."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import pandas as pd
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from wattcast.meter_files.formats.encodings import open_binary
from wattcast.meter_files.mapping import Evidence
from wattcast.meter_files.refusals import FileRefused
from wattcast.meter_files.table import Table

ATOM, ESPI = "{http://www.w3.org/2005/Atom}", "{http://naesb.org/espi}"
COLUMNS = ("building_id", "device_id", "measured_at", "energy_usage_kwh", "minutes")
WATT_HOURS, FORWARD, INTERVAL_ENERGY = (
    "72",
    ("1", "0", ""),
    ("4", "0", ""),
)  # codes of ESPI: uom, flowDirection, accumulationBehaviour
MAX_SECONDS = 3600


def green_button_table(file: Path, building: str | None) -> Table:
    """The energy of each interval by usage point, in kWh at the start of the interval.

    The building is `building`, else the title or the end of the link of the usage point. Readings of energy to the grid, of other
    quantities and of intervals longer than an hour are left out. Entities are refused: a file cannot make the reader fetch or
    expand anything.

    Raises:
        FileRefused: the file is not ESPI XML.
    """
    with open_binary(file) as content:
        text = content.read()
    try:
        feed = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise FileRefused(
            f"{file.name} cannot be read as Green Button XML: {error or type(error).__name__}."
        ) from error
    entries = list(feed.iter(f"{ATOM}entry"))
    left_out: set[str] = set()
    rows = [row for entry in entries for row in _readings(entry, entries, building, file, left_out)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS), index=range(1, len(rows) + 1))
    frame["measured_at"] = pd.to_datetime(frame["measured_at"], unit="s", utc=True)
    frame = frame.drop(columns="minutes")
    evidence = [
        Evidence("unit", "kWh", "watt-hours of the reading type"),
        Evidence("timezone", "UTC", "seconds since 1970"),
    ]
    if left_out:
        evidence.append(Evidence("left out", "; ".join(sorted(left_out)), "they are not energy of an hour or less"))
    return Table(
        file, "Green Button", COLUMNS[:-1], lambda: iter([frame] if len(frame) else []), evidence=tuple(evidence)
    )


def _readings(
    entry: Element, entries: list[Element], building: str | None, file: Path, left_out: set[str]
) -> Iterator[tuple[str, str, int, float, float]]:
    blocks = list(entry.iter(f"{ESPI}IntervalBlock"))
    if not blocks:
        return
    meter = _link(entry, "up").removesuffix("/IntervalBlock")
    kind = _reading_type(meter, entries, file)
    if reason := _reason_against(kind):
        left_out.add(reason)
        return
    factor = 10.0 ** int(_value(kind, "powerOfTenMultiplier") or 0) / 1000
    point = building or _usage_point(meter, entries)
    device = meter.rpartition("/")[2]
    for reading in (reading for block in blocks for reading in block.iter(f"{ESPI}IntervalReading")):
        try:
            seconds, start = int(_deep(reading, "duration")), int(_deep(reading, "start"))
            value = float(_value(reading, "value"))
        except ValueError as error:
            raise FileRefused(f"{file.name}: an IntervalReading lacks its time or value: {error}") from error
        if seconds > MAX_SECONDS:
            left_out.add(f"readings of {seconds} seconds")
            continue
        yield point, device, start, value * factor, seconds / 60


def _reading_type(meter: str, entries: list[Element], file: Path) -> Element:
    kinds = {_link(entry, "self"): kind for entry in entries for kind in entry.iter(f"{ESPI}ReadingType")}
    if len(kinds) == 1:
        return next(iter(kinds.values()))
    for entry in entries:
        if _link(entry, "self") == meter:
            for link in entry.iter(f"{ATOM}link"):
                if link.get("rel") == "related" and link.get("href") in kinds:
                    return kinds[str(link.get("href"))]
    raise FileRefused(
        f"{file.name}: the readings of {meter or 'an entry'} name no ReadingType, so their unit is unknown."
    )


def _reason_against(kind: Element) -> str:
    if _value(kind, "uom") != WATT_HOURS:
        return f"readings in the unit {_value(kind, 'uom') or 'unknown'}"
    if _value(kind, "flowDirection") not in FORWARD:
        return "energy to the grid"
    return "" if _value(kind, "accumulationBehaviour") in INTERVAL_ENERGY else "registers"


def _usage_point(meter: str, entries: list[Element]) -> str:
    for entry in entries:
        link = _link(entry, "self")
        if entry.find(f".//{ESPI}UsagePoint") is not None and (meter.startswith(link) or not meter):
            title = (entry.findtext(f"{ATOM}title") or "").strip()
            return title or link.rpartition("/")[2]
    return meter.partition("/UsagePoint/")[2].partition("/")[0] or "usage-point"


def _link(entry: Element, rel: str) -> str:
    return next((str(link.get("href", "")) for link in entry.iter(f"{ATOM}link") if link.get("rel") == rel), "")


def _value(element: Element, name: str) -> str:
    return (element.findtext(f"{ESPI}{name}") or "").strip()


def _deep(element: Element, name: str) -> str:
    return (element.findtext(f".//{ESPI}{name}") or "").strip()
