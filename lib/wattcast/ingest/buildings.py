"""Metadata of buildings from a file, checked against the contract `buildings`."""

import re
from pathlib import Path
from zoneinfo import available_timezones

import pandas as pd

from wattcast.contracts import Column, contract


class MetadataError(ValueError):
    """A metadata file that cannot be used, with the row and the reason."""


def buildings_of(file: Path, *, default_interval_minutes: int | None = None) -> pd.DataFrame:
    """One row per building of a CSV file, in the columns of the contract; unknown values are missing.

    Raises:
        MetadataError: no building_id, a repeated one, or a value that the contract does not allow.
    """
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise MetadataError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if "building_id" not in rows:
        raise MetadataError(f"{file} has no column building_id.")
    repeated = rows.building_id[rows.building_id.duplicated()]
    if len(repeated):
        raise MetadataError(f"{file}: building {repeated.iloc[0]} is there more than once.")
    columns = {column.name: _values(rows, column, file) for column in contract("buildings").columns}
    known = pd.DataFrame(columns, index=rows.index)
    if default_interval_minutes:
        interval = known["reading_interval_minutes"]
        known["reading_interval_minutes"] = interval.mask(interval.isna(), default_interval_minutes)
    return known


def _values(rows: pd.DataFrame, column: Column, file: Path) -> pd.Series:
    if column.name not in rows:
        return pd.Series([None] * len(rows), index=rows.index, dtype=object)
    texts = rows[column.name].str.strip()
    values = [
        _value(text, column, f"{file}: building {name}") for text, name in zip(texts, rows.building_id, strict=True)
    ]
    return pd.Series(values, index=rows.index, dtype=object)


def _value(text: str, column: Column, where: str) -> str | int | bool | None:
    if text == "" and not column.required:
        return None
    problem = MetadataError(f"{where}: {column.name} cannot be {text!r}.")
    if column.logical_type == "boolean":
        if text.lower() not in ("true", "false", "1", "0"):
            raise problem
        return text.lower() in ("true", "1")
    if column.logical_type == "integer":
        number = int(float(text)) if re.fullmatch(r"\d+(\.0+)?", text) else 0
        if not 1 <= number <= 60 or 60 % number:
            raise problem
        return number
    is_zone = column.name != "timezone" or text in available_timezones()
    is_fit = re.search(column.limits.get("pattern", ""), text) and len(text) <= column.limits.get("maxLength", 10_000)
    if not text or not is_zone or not is_fit:
        raise problem
    return text
