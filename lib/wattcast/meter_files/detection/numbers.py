"""Numbers in texts: which sign is the decimal one, and their values."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.mapping import Evidence
from wattcast.meter_files.refusals import Ambiguous, FileRefused, bad_row

MISSING = {
    "", "-", "--", "---", ".", "?", "n/a", "na", "nan", "null", "none", "#n/a", "#nv", "n.v.", "k.a.", "n.d.", "nd", "s/d",
    "<na>", "unavailable", "unknown",
}  # fmt: skip
GROUPS = re.compile(r"[\s\u00a0\u202f'’]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
NOT_A_NUMBER = "is not a number"

Floats = npt.NDArray[np.floating]


def is_missing(texts: pd.Series) -> npt.NDArray[np.bool_]:
    """Whether each cell is empty or a usual sign for no value."""
    if texts.dtype.kind in "biufM":
        return texts.isna().to_numpy(bool)
    return np.asarray(texts.isna() | texts.astype(str).str.strip().str.lower().isin(MISSING), bool)


def decimal_sign(texts: Iterable[str], separator: str | None) -> Evidence:
    """The decimal sign of number texts.

    Raises:
        Ambiguous: a comma may be the decimal sign or may separate thousands.
    """
    with_comma = [text for text in map(str.strip, texts) if "," in text]
    if not with_comma:
        return Evidence("decimal", ".", "no number has a comma")
    for text in with_comma:
        before, _, after = text.lstrip("+-").rpartition(",")
        if "." in after:
            return Evidence("decimal", ".", f"{text} has thousands before the dot")
        if "." in before or len(after) != 3 or (before.isdigit() and (len(before) > 3 or before.startswith("0"))):
            return Evidence("decimal", ",", f"such as {text}")
        if "," in before:
            return Evidence("decimal", ".", f"{text} has groups of thousands")
    if separator in (";", "\t"):
        return Evidence("decimal", ",", f"numbers such as {with_comma[0]} in a file that is not separated by commas")
    raise Ambiguous(
        f"Numbers such as {with_comma[0]} may have a decimal comma or thousands.",
        "decimal",
        {"--decimal ','": ",", "--decimal '.'": "."},
    )


def numbers(cells: pd.Series, decimal: str, file: Path) -> Floats:
    """The values of cells, NaN where they are missing, in their own precision where they are typed.

    Raises:
        FileRefused: a text is not a number, or a number is infinite.
    """
    if pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_bool_dtype(cells.dtype):
        values: Floats = cells.to_numpy(np.float32 if cells.dtype == np.float32 else np.float64, na_value=np.nan)
    else:
        values = _parsed(cells, decimal, file)
    if np.isinf(values).any():
        line = cells.index[np.isinf(values)][0]
        raise FileRefused(f"{file.name}, line {line}: {cells.name} contains an infinite number.")
    return values


def bad_numbers(cells: pd.Series, decimal: str) -> npt.NDArray[np.bool_]:
    """Which cells have a text that is neither a number nor a sign for a missing value."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return np.zeros(len(cells), bool)
    return np.isnan(_values(cells, decimal)) & ~is_missing(cells)


def _parsed(cells: pd.Series, decimal: str, file: Path) -> Floats:
    values = _values(cells, decimal)
    is_wrong = np.isnan(values) & ~is_missing(cells)
    if is_wrong.any():
        line, text = cells.index[is_wrong][0], cells[is_wrong].iloc[0]
        other = "," if decimal == "." else "."
        hint = f" If its decimal sign is {other!r}, add --decimal {other}." if other in str(text) else ""
        raise bad_row(f"{file.name}, line {line}: {cells.name} contains a value that {NOT_A_NUMBER}: {text!r}.{hint}")
    return values


def _values(cells: pd.Series, decimal: str) -> npt.NDArray[np.float64]:
    objects = [None if absent else cell for cell, absent in zip(cells.astype(object), cells.isna(), strict=True)]
    by_cell = {cell: _value(cell, decimal) for cell in set(objects)}
    return np.array([by_cell[cell] for cell in objects], np.float64)


def _value(cell: object, decimal: str) -> float:
    if cell is None or isinstance(cell, bool):
        return np.nan
    if isinstance(cell, (int, float, np.number)):
        return float(cell)
    text = GROUPS.sub("", str(cell))
    other = "," if decimal == "." else "."
    whole, _, fraction = text.partition(decimal)
    if other in fraction or (other in whole and not re.fullmatch(rf"[+-]?\d{{1,3}}(\{other}\d{{3}})+", whole)):
        return np.nan
    text = whole.replace(other, "") + ("." + fraction if decimal in text else "")
    if text.lower().lstrip("+-") in ("inf", "infinity"):
        return np.inf
    return float(text) if NUMBER.match(text) else np.nan
