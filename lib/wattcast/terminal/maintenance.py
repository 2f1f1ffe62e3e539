"""The report of a maintenance of the tables, for the terminal."""

from collections.abc import Sequence

from rich.table import Table

from wattcast.lake.maintenance import Files, MaintenanceReport
from wattcast.terminal.console import plain


def maintenance_table(reports: Sequence[MaintenanceReport]) -> Table:
    """A row per table: what it held before and after, and why it was skipped."""
    table = Table("table", title="Maintenance")
    for name in ("files", "size", "rows deleted", "payloads removed", "files vacuumed", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("skipped because", overflow="fold")
    for report in reports:
        number_of_files = f"{report.before.count:,} → {report.after.count:,}"
        sizes = f"{_megabytes(report.before)} → {_megabytes(report.after)} MB"
        counts = (report.rows_deleted, report.payloads_removed, report.vacuumed)
        numbers = (*(f"{count:,}" for count in counts), f"{report.seconds:.1f}")
        table.add_row(report.table, number_of_files, sizes, *numbers, plain(report.left_for))
    return table


def _megabytes(files: Files) -> str:
    return f"{files.size_bytes / 1e6:,.1f}"
