"""The one reader of files of readings, for every command: opens a file, detects its form, and returns readings."""

import logging
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wattcast.meter_files.conversion import NO_ENERGY, Readings, converted, streamed
from wattcast.meter_files.detection.detect import detected
from wattcast.meter_files.detection.headers import header_of
from wattcast.meter_files.formats.delimited import delimited_table
from wattcast.meter_files.formats.encodings import open_binary
from wattcast.meter_files.formats.green_button import green_button_table
from wattcast.meter_files.formats.nem12 import nem12_table
from wattcast.meter_files.formats.typed import json_lines_table, parquet_table, workbook_table
from wattcast.meter_files.mapping import Choices, Evidence, Mapping
from wattcast.meter_files.refusals import Ambiguous, FileRefused
from wattcast.meter_files.table import Table

log = logging.getLogger(__name__)

NO_CHOICES = Choices()
MAX_WHOLE_ROWS = 2_000_000
LEFT_OUT = "has readings of more than an hour, which say nothing about an hour: left out"
OLD_EXCEL = b"\xd0\xcf\x11\xe0"


def open_table(file: Path, choices: Choices = NO_CHOICES) -> Table:
    """The rows of a file, by what its first bytes say it is.

    Raises:
        FileRefused: the file does not exist or cannot be read.
        Ambiguous: its encoding, separator or sheet is open.
    """
    if file.is_dir():
        return parquet_table(file)
    with open_binary(file) as content:
        try:
            head = content.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
        except (OSError, EOFError) as error:
            raise FileRefused(f"{file} cannot be read: {error}") from error
    if head.startswith(b"PAR1") or file.suffix.lower() == ".parquet":
        return parquet_table(file)
    if head.startswith(b"PK\x03\x04"):
        return workbook_table(file, choices)
    if head.startswith(OLD_EXCEL):
        raise FileRefused(f"{file.name} is a workbook of an old Excel: save it as .xlsx or CSV.")
    if re.match(rb"<[?!a-zA-Z]", head):
        return green_button_table(file, choices.building)
    if head.startswith((b"100,NEM12", b"200,")):
        return nem12_table(file)
    if head.startswith(b"{"):
        return json_lines_table(file)
    return delimited_table(file, choices)


def read_readings(file: Path, choices: Choices = NO_CHOICES) -> tuple[Readings, Mapping]:
    """All readings of a file in memory, and how they were read.

    Raises:
        FileRefused: the file does not hold readings.
        Ambiguous: it can be read in several ways.
    """
    table = open_table(file, choices)
    mapping = detected(table, choices)
    return converted(table.whole(), mapping, file), mapping


def reading_chunks(
    file: Path, choices: Choices = NO_CHOICES, *, other_options: MappingABC[str, str] | None = None
) -> Iterator[pd.DataFrame]:
    """The readings of a file in the columns of the contract, in bounded memory where each row can be converted by itself, as
    the rows of a file in the form of the contract can; else all at once.

    What was decided or counted is logged, unless the file has the form of the contract. `other_options` says, by the choice
    that is open, what else the user of a command can do than to convert the file.

    Raises:
        FileRefused: as `read_readings`; for what is in doubt with the command that converts the file.
    """
    try:
        table = open_table(file, choices)
        mapping = detected(table, choices)
        if mapping.is_streamable:
            if mapping.left_out:
                log.warning("%s: %s %s.", file.name, ", ".join(mapping.left_out), LEFT_OUT)
            for chunk in table.chunks():
                yield streamed(chunk, mapping, file)
            return
        log.warning("%s: %s.", file.name, summary(mapping.evidence))
        readings = converted(table.whole(), mapping, file)
    except Ambiguous as error:
        raise _with_conversion(error, file, (other_options or {}).get(error.choice)) from error
    _log_problems(file, readings)
    yield readings.frame


@dataclass(frozen=True)
class _Stream:
    """The chunks of a file whose rows are converted one by one; each iteration reads the file again."""

    table: Table
    mapping: Mapping

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return (streamed(chunk, self.mapping, self.table.file) for chunk in self.table.chunks())


def checked_readings(file: Path) -> Iterable[pd.DataFrame]:
    """The readings of a file for a model, which may be iterated several times: each reading once, and without totals of days.

    A file of up to MAX_WHOLE_ROWS is read into memory. Of a larger one in a form that needs no other rows, chunks are read at
    each iteration; there, totals of days among readings of hours are not noticed.

    Raises:
        FileRefused: as `read_readings`; for what is in doubt with the command that converts the file.
    """
    try:
        table = open_table(file)
        mapping = detected(table, NO_CHOICES)
        raw = _rows_up_to(table, MAX_WHOLE_ROWS) if mapping.is_streamable else table.whole()
        if raw is None:
            return _Stream(table, mapping)
        readings = converted(raw, mapping, file)
    except Ambiguous as error:
        raise _with_conversion(error, file) from error
    if not mapping.is_streamable:
        log.warning("%s: %s.", file.name, summary(mapping.evidence))
    _log_problems(file, readings)
    return [readings.frame]


def _rows_up_to(table: Table, limit: int) -> pd.DataFrame | None:
    """All rows of a table; None if there are more than `limit`."""
    parts, rows = [], 0
    for chunk in table.chunks():
        parts.append(chunk)
        rows += len(chunk)
        if rows > limit:
            return None
    return pd.concat(parts)


def _log_problems(file: Path, readings: Readings) -> None:
    for problem, count in readings.problems.items():
        if problem == NO_ENERGY:
            continue  # such rows are rejected, or are gaps: both are usual and counted elsewhere
        log.warning("%s: %s %s.", file.name, f"{count:,}", problem)


def _with_conversion(error: Ambiguous, file: Path, other: str | None = None) -> FileRefused:
    """The refusal of a command that takes only files whose form is clear."""
    alternative = f"; or {other}." if other else "."
    return FileRefused(
        f"{error.question} Convert the file first: wattcast load {file} {error.options} --to readings.parquet{alternative}"
    )


def building_ids(file: Path) -> set[str]:
    """The building ids in a file of readings or of buildings.

    Raises:
        FileRefused: the file has no column building_id.
    """
    table = open_table(file)
    header = next((name for name in table.columns if header_of(name).role == "building_id"), None)
    if header is None:
        raise FileRefused(f"{file.name} has no column building_id.")
    return {str(name).strip() for chunk in table.chunks() for name in chunk[header].dropna().unique()} - {""}


def summary(evidence: tuple[Evidence, ...]) -> str:
    """What was detected, in one line."""
    names = ("layout", "timezone", "unit", "quantity", "stamps", "interval")
    return ", ".join(f"{item.finding} {item.value}" for item in evidence if item.finding in names)
