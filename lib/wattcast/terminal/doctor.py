"""What `wattcast doctor --lake` prints."""

from dataclasses import asdict

from rich import box
from rich.table import Table

from wattcast.lake.doctor import LakeCheckup, QueryCheckup, TableCheckup
from wattcast.terminal.console import plain


def lake_json(checkup: LakeCheckup) -> dict[str, object]:
    return asdict(checkup) | {"sound": checkup.is_sound}


def lake_table(checkup: LakeCheckup) -> Table:
    """A row per table and checkpoint; below the table a line for each fault and how to restore it."""
    title = f"Lake {checkup.lake}: are its tables and checkpoints whole?"
    table = Table(title=plain(title), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left")
    for name in ("table or query", "version or batch", "files", "rows", "status"):
        table.add_column(name, overflow="fold")
    for one in checkup.tables:
        table.add_row(plain(one.name), _number(one.version), _number(one.files), _number(one.rows), _status(one))
    for query in checkup.queries:
        table.add_row(plain(f"checkpoint {query.query}"), _number(query.finished), "", "", _status(query))
    table.caption = plain("\n".join(_faults(checkup))) if not checkup.is_sound else None
    return table


def _faults(checkup: LakeCheckup) -> list[str]:
    of_tables = [f"Table {one.name}: {fault}" for one in checkup.tables for fault in one.faults]
    return of_tables + [f"Checkpoint {query.query}: {fault}" for query in checkup.queries for fault in query.faults]


def _number(value: int | None) -> str:
    return "unknown" if value is None else "none" if value < 0 else f"{value:,}"


def _status(checkup: TableCheckup | QueryCheckup) -> str:
    return "DAMAGED" if checkup.faults else "whole"
