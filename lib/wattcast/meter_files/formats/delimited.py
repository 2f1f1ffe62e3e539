"""CSV and similar text files, with any separator, with lines above the header, and with a separator at the end of the lines."""

import csv
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import pandas as pd

from wattcast.meter_files.detection.headers import header_of, unit_of
from wattcast.meter_files.detection.stamps import stamp, time_of_day
from wattcast.meter_files.formats.encodings import encoding_of, open_binary
from wattcast.meter_files.mapping import TIME_ROLES, Choices, Evidence
from wattcast.meter_files.refusals import FileRefused, bad_row
from wattcast.meter_files.table import MAX_HEADER_ROW, ROWS_PER_CHUNK, Table, checked_headers

SEPARATORS = (";", "\t", "|", ",")
SEPARATOR_NAMES = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar"}
SAMPLE_LINES = 200
IsHeader = Callable[[Sequence[str]], bool]


def delimited_table(file: Path, choices: Choices, is_header: IsHeader | None = None) -> Table:
    """The rows of a text file as texts. `is_header` recognises the header row; by default one that names a time.

    A row that is longer or shorter than the header is refused with its line, unless what is too much is empty; with
    `skip_bad_rows` it is left out.

    Raises:
        FileRefused: the file cannot be read, or has no header row.
        Ambiguous: the separator or the encoding cannot be told.
    """
    encoding = Evidence("encoding", choices.encoding, "as requested") if choices.encoding else encoding_of(file)
    try:
        with _text(file, encoding.value) as text:
            lines = list(islice(text, SAMPLE_LINES))
    except (UnicodeError, LookupError) as error:
        raise FileRefused(f"{file} cannot be read as {encoding.value}: {error}. Add --encoding NAME.") from error
    separator = choices.separator or _separator(lines)
    rows = list(csv.reader(lines, delimiter=separator))
    header_row = _header_row(rows, is_header or names_a_time, file)
    columns = checked_headers(rows[header_row], file)
    skipped = header_row + 1 + _has_units(rows, header_row)
    evidence = [encoding, Evidence("separator", SEPARATOR_NAMES.get(separator, separator), f"{len(columns)} columns")]
    if header_row:
        evidence.append(Evidence("header", f"line {header_row + 1}", "the lines above name no columns"))

    def chunks() -> Iterator[pd.DataFrame]:
        with _text(file, encoding.value) as text:
            yield from _chunks(csv.reader(text, delimiter=separator), columns, skipped, file, choices.skip_bad_rows)

    return Table(file, "CSV", columns, chunks, encoding.value, separator, evidence=tuple(evidence))


def names_a_time(cells: Sequence[str]) -> bool:
    """Whether the cells are a header row of readings: one names a time, and none is one."""
    roles = {header_of(cell).role for cell in cells}
    return bool(roles & set(TIME_ROLES)) and not any(stamp(cell) for cell in cells)


def _text(file: Path, encoding: str) -> TextIO:
    return io.TextIOWrapper(open_binary(file), encoding=encoding, newline="")


def _separator(lines: list[str]) -> str:
    """The separator that splits nearly all lines into the same number of fields, at least two."""
    for separator in SEPARATORS:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator) if row)
        width, count = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
        if width > 1 and count >= 0.7 * sum(widths.values()):
            return separator
    return "," if any("," in line for line in lines) else ";"


def _header_row(rows: list[list[str]], is_header: IsHeader, file: Path) -> int:
    for number, cells in enumerate(rows[:MAX_HEADER_ROW]):
        if is_header(cells):
            return number
    if rows and any(stamp(cell) or time_of_day(cell) is not None for cell in rows[0]):
        raise FileRefused(f"{file.name} has no header row: add a first line with the names of its columns.")
    widths = [sum(bool(cell.strip()) for cell in cells) for cells in rows[:MAX_HEADER_ROW]]
    return widths.index(max(widths)) if widths else 0


def _has_units(rows: list[list[str]], header_row: int) -> bool:
    """Whether the row after the header has units instead of values."""
    if len(rows) <= header_row + 1:
        return False
    cells = [cell.strip(" []()") for cell in rows[header_row + 1]]
    return any(unit_of(cell) for cell in cells) and not any(stamp(cell) for cell in cells)


def _chunks(
    rows: Iterator[list[str]], columns: tuple[str, ...], skipped: int, file: Path, skip_bad_rows: bool
) -> Iterator[pd.DataFrame]:
    width, cells, lines = len(columns), [], []
    try:
        for number, row in enumerate(rows, start=1):
            if number <= skipped or not any(map(str.strip, row)):
                continue
            if len(row) != width and not (len(row) > width and not any(map(str.strip, row[width:]))):
                if skip_bad_rows:
                    continue
                raise bad_row(
                    f"{file.name} cannot be read: line {number} has {len(row)} fields, and the header has {width}."
                )
            cells.append(row[:width])
            lines.append(number)
            if len(cells) == ROWS_PER_CHUNK:
                yield pd.DataFrame(cells, index=lines, columns=list(columns), dtype=object)
                cells, lines = [], []
    except (UnicodeError, csv.Error) as error:
        raise FileRefused(f"{file.name} cannot be read to its end: {error}") from error
    if cells:
        yield pd.DataFrame(cells, index=lines, columns=list(columns), dtype=object)
