"""Reads the versions and aliases of a model from MLflow's SQLite file, without MLflow, which takes seconds to import.

MLflow writes these tables. Its own client remains the way for every other store, for writes, and for tables of another
revision.
"""

import os
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

SQLITE = "sqlite:///"
REVISION = "dc11669786a5"  # of MLflow's tables; a test compares the rows with those of the installed MLflow
WORKSPACE = "default"
WORKSPACE_VARIABLES = ("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_WORKSPACE")
BUSY_SECONDS = 5.0

VERSIONS = """
    SELECT version, run_id, creation_time FROM model_versions
    WHERE name = ? AND workspace = ? AND current_stage <> 'Deleted_Internal'"""
TAGS = "SELECT version, key, value FROM model_version_tags WHERE name = ? AND workspace = ?"
ALIASES = "SELECT alias, version FROM registered_model_aliases WHERE name = ? AND workspace = ?"


@dataclass(frozen=True)
class StoredVersion:
    """A version with the attributes of MLflow's ModelVersion that the registry uses."""

    version: int
    run_id: str | None
    creation_timestamp: int  # milliseconds since 1970
    tags: Mapping[str, str]


@dataclass(frozen=True)
class StoredModel:
    """A registered model, empty where there is none of that name."""

    versions: list[StoredVersion]
    aliases: dict[str, int]


def stored_model(uri: str, name: str) -> StoredModel | None:
    """The model `name` at one state of the store; None where MLflow must answer: another kind of store, tables of another
    revision, workspaces, or a file that SQLite cannot read."""
    if not uri.startswith(SQLITE) or "?" in uri or any(os.environ.get(variable) for variable in WORKSPACE_VARIABLES):
        return None
    file = Path(uri.removeprefix(SQLITE)).absolute()
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as connection:
            connection.execute("BEGIN")  # one state of the file for all queries
            revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            return _model(connection, name) if revisions == [(REVISION,)] else None
    except sqlite3.Error:
        return None  # MLflow reads the file once more and explains what is wrong with it


def _model(connection: sqlite3.Connection, name: str) -> StoredModel:
    key = (name, WORKSPACE)
    tags: dict[int, dict[str, str]] = defaultdict(dict)
    for number, tag, value in connection.execute(TAGS, key):
        tags[number][tag] = value
    versions = [StoredVersion(number, run, at, tags[number]) for number, run, at in connection.execute(VERSIONS, key)]
    return StoredModel(versions, dict(connection.execute(ALIASES, key).fetchall()))
