"""Parquet files, workbooks and lines of JSON: rows whose cells have types."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from wattcast.meter_files.formats.delimited import names_a_time
from wattcast.meter_files.formats.encodings import open_binary
from wattcast.meter_files.mapping import Choices, Evidence
from wattcast.meter_files.refusals import Ambiguous, FileRefused
from wattcast.meter_files.table import MAX_HEADER_ROW, ROWS_PER_CHUNK, Table, checked_headers


def parquet_table(file: Path) -> Table:
    """The rows of a Parquet file, or of all files of a folder, with times of any unit.

    Raises:
        FileRefused: a file is no Parquet file.
    """
    files = sorted(file.glob("*.parquet")) if file.is_dir() else [file]
    if not files:
        raise FileRefused(f"{file} has no Parquet files.")
    try:
        schema = pq.read_schema(files[0])
    except (pa.ArrowInvalid, OSError) as error:
        raise FileRefused(f"{file.name} cannot be read as Parquet: {error}") from error
    columns = tuple(name for name in schema.names if not name.startswith("__index_level_"))

    def chunks() -> Iterator[pd.DataFrame]:
        row = 1
        for part in files:
            try:
                with pq.ParquetFile(part) as parquet:
                    for batch in parquet.iter_batches(ROWS_PER_CHUNK, columns=list(columns)):
                        frame: pd.DataFrame = pa.Table.from_batches([batch]).to_pandas(ignore_metadata=True)
                        frame.index = pd.RangeIndex(row, row + len(frame))
                        row += len(frame)
                        yield frame
            except (pa.ArrowInvalid, OSError) as error:
                raise FileRefused(f"{part.name} cannot be read to its end: {error}") from error

    return Table(file, "Parquet", columns, chunks)


def workbook_table(file: Path, choices: Choices) -> Table:
    """The rows of a sheet of a workbook (.xlsx). Formulas count as their stored values.

    Raises:
        FileRefused: the file is no workbook, has no such sheet, or has no header row.
        Ambiguous: several sheets have rows.
    """
    try:
        book = load_workbook(file, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, OSError, KeyError, ValueError) as error:
        raise FileRefused(f"{file.name} cannot be read as a workbook: {error}") from error
    sheets = {sheet.title: [list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets}
    book.close()
    filled = [name for name, rows in sheets.items() if any(any(cell is not None for cell in row) for row in rows)]
    name = choices.sheet or (filled[0] if len(filled) == 1 else None)
    if name is None:
        with_times = [name for name in filled if _header_of_sheet(sheets[name]) is not None]
        name = with_times[0] if len(with_times) == 1 else None
    if name is None:
        answers: dict[str, object] = {f"--sheet {sheet!r}": sheet for sheet in filled}
        raise Ambiguous(f"{file.name} has {len(filled)} sheets with rows.", "sheet", answers)
    if name not in sheets:
        raise FileRefused(f"{file.name} has no sheet {name}: it has {', '.join(sheets)}.")
    rows = sheets[name]
    header_row = _header_of_sheet(rows)
    if header_row is None:
        raise FileRefused(f"{file.name}: sheet {name} has no header row that names a time.")
    columns = checked_headers([_text(cell) for cell in rows[header_row]], file)
    body = [row[: len(columns)] + [None] * (len(columns) - len(row)) for row in rows[header_row + 1 :]]
    frame = pd.DataFrame(body, index=range(header_row + 2, len(rows) + 1), columns=list(columns), dtype=object)
    frame = frame[frame.notna().any(axis="columns")]
    evidence = (Evidence("sheet", name, f"{len(frame)} rows"),)
    return Table(file, "Excel", columns, lambda: iter([frame] if len(frame) else []), sheet=name, evidence=evidence)


def _header_of_sheet(rows: list[list[Any]]) -> int | None:
    return next(
        (number for number, row in enumerate(rows[:MAX_HEADER_ROW]) if names_a_time(list(map(_text, row)))), None
    )


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)


def json_lines_table(file: Path) -> Table:
    """The objects of a file with one JSON object per line, as Kafka messages are; their keys are the columns.

    Raises:
        FileRefused: a line is not an object of plain values.
    """
    rows, lines = [], []
    with open_binary(file) as content:
        for number, line in enumerate(content, start=1):
            if line.strip():
                rows.append(_object(line, file, number))
                lines.append(number)
    frame = pd.DataFrame(rows, index=lines, dtype=object)
    columns = tuple(map(str, frame.columns))
    return Table(file, "JSON lines", columns, lambda: iter([frame] if len(frame) else []))


def _object(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise FileRefused(f"{file.name}, line {number} is not JSON: {error}") from error
    if not isinstance(value, dict) or any(isinstance(item, (dict, list)) for item in value.values()):
        raise FileRefused(f"{file.name}, line {number} is not an object of plain values.")
    return value
