"""Metadata of buildings from a CSV file, checked against the contract `buildings`."""

import re
from pathlib import Path
from zoneinfo import available_timezones

import pandas as pd

from wattcast.contracts import Column, contract
from wattcast.errors import REFUSED


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
    buildings = pd.DataFrame(columns, index=rows.index)
    if default_interval_minutes:
        interval = buildings["reading_interval_minutes"]
        buildings["reading_interval_minutes"] = interval.mask(interval.isna(), default_interval_minutes)
    return buildings


def _text_rows(file: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise MetadataError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if "building_id" not in rows:
        raise MetadataError(f"{file} has no column building_id.")
    repeated = rows.building_id[rows.building_id.duplicated()]
    if len(repeated):
        raise MetadataError(f"{file} has building {repeated.iloc[0]} more than once.")
    return rows


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
