"""The rows of a file before their meaning is known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wattcast.meter_files.mapping import Evidence
from wattcast.meter_files.refusals import FileRefused

ROWS_PER_CHUNK = 65_536
SAMPLE_ROWS = 200_000
MAX_HEADER_ROW = 40  # lines of a title and of notes that may stand above the header


@dataclass(frozen=True)
class Table:
    """A file as rows with named columns. `chunks` starts at the first row each time it is called.

    The index of a chunk is the line or row number in the file, for messages. Cells are texts, or typed values where the format
    has types.
    """

    file: Path
    format: str
    columns: tuple[str, ...]
    chunks: Callable[[], Iterator[pd.DataFrame]]
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None
    evidence: tuple[Evidence, ...] = ()

    def sample(self) -> pd.DataFrame:
        """The first rows, at least one chunk."""
        parts: list[pd.DataFrame] = []
        for chunk in self.chunks():
            parts.append(chunk)
            if sum(map(len, parts)) >= SAMPLE_ROWS:
                break
        return pd.concat(parts) if parts else pd.DataFrame(columns=list(self.columns), dtype=object)

    def whole(self) -> pd.DataFrame:
        """All rows in memory."""
        parts = list(self.chunks())
        return pd.concat(parts) if parts else pd.DataFrame(columns=list(self.columns), dtype=object)


def checked_headers(cells: list[str], file: Path) -> tuple[str, ...]:
    """Headers without blanks around them and without empty ones at the end.

    Raises:
        FileRefused: a header is repeated, or all are empty.
    """
    headers = [" ".join(cell.replace("\ufeff", "").split()) for cell in cells]
    while headers and not headers[-1]:
        headers.pop()
    named = [header for header in headers if header]
    if not named:
        raise FileRefused(f"{file.name} has no header row.")
    if repeated := {header for header in named if named.count(header) > 1}:
        raise FileRefused(f"{file.name} has the column {min(repeated)} more than once.")
    return tuple(header or f"column {number}" for number, header in enumerate(headers, start=1))
