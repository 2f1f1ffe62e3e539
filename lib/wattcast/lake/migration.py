"""Fits the tables of a lake to their contracts: new optional columns when a job starts, the rest by `wattcast migrate`."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from wattcast.contracts import Contract, tables
from wattcast.errors import REFUSED
from wattcast.lake.checkpoints import queries_that_read
from wattcast.lake.delta_log import TableDamaged
from wattcast.lake.rewriting import rewrite
from wattcast.lake.schema_changes import Action, Difference, differences
from wattcast.lake.storage import SparkStorage
from wattcast.lake.table_definition import CONTRACT_VERSION
from wattcast.lake.tables import LakeTables

log = logging.getLogger("wattcast.lake")

REMEDY = "`wattcast migrate` shows what can be migrated, and how"
MIGRATING = (Action.ADD, Action.ALLOW_NULL, Action.CHANGE_TYPE)


class TableNeedsMigration(Exception):
    """A table that jobs cannot write under its contract, with the differences."""

    exit_status = REFUSED


def prepare_tables(lake: LakeTables) -> None:
    """Create the tables that do not exist, and add the new optional columns of the contracts to the others. Of jobs that start at
    once, one does it.

    Raises:
        TableNeedsMigration: a table has another difference; no table was changed.
        TableDamaged: a table that needs a column is damaged.
    """
    lake.create_tables()
    by_table = [(table, _readable_differences(lake, table)) for table in tables()]
    for table, changes in by_table:
        if blocking := [change for change in changes if change.blocks_jobs]:
            raise TableNeedsMigration(f"{_misfit(table, blocking)}; {REMEDY}.")
    for table, changes in by_table:
        if extra := [change.column for change in changes if change.action == Action.KEEP]:
            log.warning(
                "The table %s has columns that its contract %s does not declare: %s. Their values stay, new rows have none.",
                table.name, table.version, ", ".join(extra),
            )  # fmt: skip
        if any(change.is_automatic for change in changes):
            _add_new_columns(lake, table)


def inspect_tables(lake: LakeTables) -> None:
    """Create the tables that do not exist, for a program that only reads the others, and log what differs from the contracts."""
    lake.create_tables()
    for table in tables():
        changes = [change for change in _readable_differences(lake, table) if change.action != Action.KEEP]
        if changes:
            log.warning("%s; %s.", _misfit(table, changes), REMEDY)


def leave_tables(lake: LakeTables) -> None:
    """Leave the tables as they are."""


def planned_changes(lake: LakeTables, table: Contract) -> list[Difference]:
    """The differences of a table, each with what `migrate_table` would do. A change of type is refused while queries that read
    the table have checkpoints, since their streams would not continue.

    Raises:
        TableDamaged: the table cannot be read.
    """
    shape = lake.shape(table.name)
    changes = differences(table, shape)
    if not any(change.action == Action.CHANGE_TYPE for change in changes):
        return changes
    queries = queries_that_read(SparkStorage(lake.spark, lake.settings.checkpoints_uri), shape.id)
    folders = ", ".join(f"{lake.settings.checkpoints_uri}/{query}" for query in queries)
    reason = f"first stop the jobs that read the table, and remove their checkpoints: {folders}"
    return [
        replace(change, action=Action.REFUSE, reason=reason)
        if queries and change.action == Action.CHANGE_TYPE
        else change
        for change in changes
    ]


def migrate_table(lake: LakeTables, table: Contract) -> list[Difference]:
    """Make the planned changes of a table, under its write lock; returns the plan.

    Raises:
        TableHasAWriter: another process does not release the table.
        TableDamaged: the table is damaged.
    """
    with lake.locks.write_lock(table.name):
        planned = planned_changes(lake, table)
        columns = {action: [change.column for change in planned if change.action == action] for action in MIGRATING}
        _alter(lake, table, columns)
    return planned


def _add_new_columns(lake: LakeTables, table: Contract) -> None:
    """Add the new optional columns, unless another process has done it."""
    with lake.locks.write_lock(table.name):
        changes = differences(table, lake.shape(table.name))
        if columns := [change.column for change in changes if change.is_automatic]:
            _alter(lake, table, {Action.ADD: columns})


def _alter(lake: LakeTables, table: Contract, columns: Mapping[Action, Sequence[str]]) -> None:
    """Change columns of a table, by action, and store the version of the contract."""
    name = table.name
    if added := columns.get(Action.ADD):
        declared = {column.name: column.ddl for column in table.columns}
        lake.alter(name, f"ADD COLUMNS ({', '.join(declared[column] for column in added)})")
    for column in columns.get(Action.ALLOW_NULL, ()):
        lake.alter(name, f"ALTER COLUMN `{column}` DROP NOT NULL")
    if retyped := columns.get(Action.CHANGE_TYPE):
        lake.check_writable(name)
        rewrite(lake, table, retyped)
    steps = [f"{action} {', '.join(columns[action])}" for action in MIGRATING if columns.get(action)]
    if steps:
        lake.set_properties(name, {CONTRACT_VERSION: table.version})
        log.info("Migrated the table %s to its contract %s: %s.", name, table.version, "; ".join(steps))


def _misfit(table: Contract, changes: Sequence[Difference]) -> str:
    return f"The table {table.name} does not fit its contract {table.version}: {', and '.join(map(str, changes))}"


def _readable_differences(lake: LakeTables, table: Contract) -> list[Difference]:
    """The differences of a table; none where its log cannot be read, which stops the jobs that need the table."""
    try:
        return differences(table, lake.shape(table.name))
    except TableDamaged as error:
        log.warning("%s", error)
        return []
