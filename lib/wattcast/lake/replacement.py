"""Replaces the rows of a small table without Spark: by delta-rs, under the same lock, with the same definition.

Only on a disk of this machine, where a commit is one file that must not exist: an object store needs the commit store that Spark
is configured with.
"""

from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import pandas as pd
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, write_deltalake
from deltalake.exceptions import DeltaError

from wattcast.contracts import Contract, contract
from wattcast.lake.delta_log import damage_since_checkpoint
from wattcast.lake.lock_choice import choose_locks
from wattcast.lake.locks import LakeLocks
from wattcast.lake.reader import UriStorage, reason
from wattcast.lake.schema_changes import differences
from wattcast.lake.table_definition import (
    CONTRACT_VERSION,
    delta_schema,
    rows_in_columns,
    table_properties,
    table_shape,
)
from wattcast.settings import Settings

# Checkpoints and the removal of old log files are left to Spark, which writes the other tables.
HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
ONCE = CommitProperties(max_commit_retries=0)  # a commit of another writer in spite of the lock must not be overwritten


class OnlySpark(ValueError):
    """A table that only Spark can replace, with the reason."""


def replace_rows(settings: Settings, name: str, rows: pd.DataFrame) -> None:
    """Replace all rows of a table that is not append-only, and create it if it does not exist. Delta keeps the earlier versions.

    Raises:
        OnlySpark: the lake is in an object store, or the table is damaged or differs from its contract. Nothing was written.
        TableHasAWriter: another writer holds the lock for longer than a writer waits.
    """
    uri, table = urlparse(settings.lake_uri), contract(name)
    if uri.scheme not in ("", "file"):
        raise OnlySpark(f"the lake {settings.lake_uri} is in an object store")
    folder = Path(uri.path if uri.scheme else settings.lake_uri, name)
    locks = LakeLocks(partial(choose_locks, settings))
    try:
        if not DeltaTable.is_deltatable(str(folder)):
            with locks.creation_lock():
                _create_if_missing(folder, table)
        with locks.write_lock(name):
            _replace(folder, table, rows)
    except DeltaError as error:
        raise OnlySpark(f"delta-rs: {reason(error)}") from error
    finally:
        locks.close()


def _create_if_missing(folder: Path, table: Contract) -> None:
    """Create a table that no other process has created in between."""
    if DeltaTable.is_deltatable(str(folder)):
        return
    DeltaTable.create(
        str(folder), Schema.from_json(delta_schema(table)), description=table.description,
        configuration=table_properties(table) | {CONTRACT_VERSION: table.version},
        partition_by=list(table.partitioned_by) or None, post_commithook_properties=HOOKS, raise_if_key_not_exists=False,
    )  # fmt: skip


def _replace(folder: Path, table: Contract, rows: pd.DataFrame) -> None:
    if damage := damage_since_checkpoint(UriStorage(str(folder))):
        raise OnlySpark(f"the table {table.name} is damaged: {damage}")
    delta = DeltaTable(str(folder))
    metadata, columns = delta.metadata(), delta.schema()
    shape = table_shape(
        columns.to_json(),
        id=str(metadata.id),
        partitioned_by=metadata.partition_columns,
        configuration=metadata.configuration,
    )
    if changes := differences(table, shape):
        raise OnlySpark(f"in the table {table.name}, {changes[0]}")
    schema = pa.schema(columns.to_arrow())
    values = pa.Table.from_pandas(rows_in_columns(table, rows), schema, preserve_index=False)
    write_deltalake(delta, values, mode="overwrite", post_commithook_properties=HOOKS, commit_properties=ONCE)
