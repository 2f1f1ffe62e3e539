"""The command `migrate`."""

import sys
from typing import Annotated

import typer

from wattcast.errors import FAILED, refuse


def migrate(
    apply: Annotated[bool, typer.Option("--apply", help="Change the tables; without it nothing is changed.")] = False,
) -> None:
    """Fit the tables of the lake to their contracts.

    Without --apply it only shows what it would do; exit 1 if something cannot be migrated without loss.
    """
    from wattcast.contracts import tables
    from wattcast.lake.migration import leave_tables, migrate_table, planned_changes
    from wattcast.lake.schema_changes import Action
    from wattcast.runtime.context import opened
    from wattcast.terminal.console import show
    from wattcast.terminal.migration import migration_table

    with opened(name="migrate", with_broker=False, prepare=leave_tables) as run:
        missing = [table.name for table in run.lake.missing_tables()]
        present = [table for table in tables() if table.name not in missing]
        if not present:
            refuse(f"The lake {run.settings.lake_uri} has no tables: set WATTCAST_LAKE or --state, or start a job.")
        change = migrate_table if apply else planned_changes
        changes = [(table, change(run.lake, table)) for table in present]
    show(migration_table(changes, missing=missing, is_applied=apply))
    is_refused = any(one.action == Action.REFUSE for _, differences in changes for one in differences)
    sys.exit(FAILED if is_refused else 0)
