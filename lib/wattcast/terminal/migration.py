"""What `wattcast migrate` prints."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from wattcast.contracts import Contract
from wattcast.lake.schema_changes import Difference
from wattcast.terminal.console import plain

TableChanges = tuple[Contract, Sequence[Difference]]


def migration_table(changes: Sequence[TableChanges], *, missing: Sequence[str], is_applied: bool) -> Table:
    """A row for each difference between a table and its contract, or for a table without one."""
    title = "Migrated tables" if is_applied else "Dry run: what `wattcast migrate --apply` would do"
    table = Table(title=plain(title), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("table", "column", "in the table", "in the contract", "done" if is_applied else "to do", "because"):
        table.add_column(name, overflow="fold")
    for contract, differences in changes:
        for one in differences:
            cells = (one.column or "(partitioning)", one.in_table, one.in_contract, one.action, one.reason)
            table.add_row(contract.name, *map(plain, cells))
        if not differences:
            table.add_row(contract.name, "", "", "", "nothing", f"it fits its contract {contract.version}")
    for name in missing:
        table.add_row(name, "", "", "", "nothing", "it does not exist yet; the next job creates it")
    return table
