"""Metadata of buildings from a CSV file, checked against the contract `buildings`."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import available_timezones

import pandas as pd

from wattcast.contracts import Column, contract
from wattcast.errors import REFUSED
from wattcast.meter_files.detection.headers import likely_name, normalised
from wattcast.meter_files.formats.delimited import delimited_table
from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.refusals import Ambiguous, FileRefused

log = logging.getLogger(__name__)

MIN_PART = 6  # letters of a part of a name that still mean it
OTHER_WORDS = {
    "tz": "timezone", "zone": "timezone", "zeitzone": "timezone", "fuseau_horaire": "timezone", "zona_horaria": "timezone",
    "land": "country", "pays": "country", "pais": "country", "interval": "reading_interval_minutes", "type": "building_type",
    "usage": "building_type", "building": "building_id", "buildingid": "building_id", "holidays": "closures",
}  # fmt: skip


class MetadataError(ValueError):
    """A metadata file that cannot be used, with the row and the reason."""

    exit_status = REFUSED


def buildings_from_csv(file: Path, *, default_interval_minutes: int | None = None) -> pd.DataFrame:
    """One row per building, in the columns of the contract; None where the file says nothing.

    `default_interval_minutes` fills an unknown `reading_interval_minutes`.

    Raises:
        MetadataError: the file cannot be read, has no building_id or a repeated one, or has a value that the contract forbids.
    """
    rows = _text_rows(file)
    columns = {column.name: _values(rows, column, file) for column in contract("buildings").columns}
    buildings = pd.DataFrame(columns, index=rows.index).reset_index(drop=True)
    if default_interval_minutes:
        interval = buildings["reading_interval_minutes"]
        buildings["reading_interval_minutes"] = interval.mask(interval.isna(), default_interval_minutes)
    return buildings


def _text_rows(file: Path) -> pd.DataFrame:
    """The rows as texts, by line of the file, with ids without blanks around them."""
    try:
        table = delimited_table(file, Choices(), is_header=lambda cells: "building_id" in map(str.strip, cells))
        rows = table.whole()
    except Ambiguous as error:
        raise MetadataError(error.question) from error
    except FileRefused as error:
        raise MetadataError(str(error)) from error
    _check_headers(rows, file)
    rows["building_id"] = rows["building_id"].str.strip()
    repeated = rows["building_id"][rows["building_id"].duplicated(keep=False)]
    if len(repeated):
        lines = repeated.index[repeated == repeated.iloc[0]]
        raise MetadataError(
            f"{file} has building {repeated.iloc[0]} more than once, in lines {' and '.join(map(str, lines))}."
        )
    return rows


def _check_headers(rows: pd.DataFrame, file: Path) -> None:
    """Refuse a column that seems to mean one of the contract; name the others that are not used."""
    names = [column.name for column in contract("buildings").columns]
    unknown = [str(name) for name in rows.columns if name not in names]
    for header in unknown:
        if likely := likely_column(header, names):
            raise MetadataError(f"{file} has the unknown column {header}: it seems to mean {likely}; rename it.")
    if "building_id" not in rows:
        raise MetadataError(f"{file} has no column building_id.")
    if unknown:
        log.warning("%s: the columns %s are not used.", file, ", ".join(unknown))


def likely_column(header: str, names: Sequence[str]) -> str | None:
    """The column of the contract that a header seems to mean, by its spelling or by another word for it."""
    normal = normalised(header).replace(" ", "_")
    if normal in OTHER_WORDS:
        return OTHER_WORDS[normal]
    part = next((name for name in names if len(normal) >= MIN_PART and (normal in name or name in normal)), None)
    return part or likely_name(header, names)


def _values(rows: pd.DataFrame, column: Column, file: Path) -> pd.Series:
    if column.name not in rows:
        return pd.Series([None] * len(rows), index=rows.index, dtype=object)
    texts = rows[column.name].str.strip()
    values = [
        _value(text, column, f"{file}: building {name}") for text, name in zip(texts, rows.building_id, strict=True)
    ]
    return pd.Series(values, index=rows.index, dtype=object)


def _value(text: str, column: Column, place: str) -> str | int | bool | None:
    """The value of a cell; `place` names the file and the building in the error."""
    if text == "" and not column.required:
        return None
    error = MetadataError(f"{place}: {column.name} cannot be {text!r}.")
    if column.logical_type == "boolean":
        if text.lower() not in ("true", "false", "1", "0"):
            raise error
        return text.lower() in ("true", "1")
    if column.logical_type == "integer":
        number = int(float(text)) if re.fullmatch(r"\d+(\.0+)?", text) else 0
        if not 1 <= number <= 60 or 60 % number:
            raise error
        return number
    is_zone = column.name != "timezone" or text in available_timezones()
    has_pattern = re.search(column.limits.get("pattern", ""), text)
    if not text or not is_zone or not has_pattern or len(text) > column.limits.get("maxLength", 10_000):
        raise error
    return text
