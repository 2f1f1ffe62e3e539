"""Erases a building from the tables: its rows, and its id in the payloads of rejected records.

Which rows name a building follows from the columns of a contract: `building_id`, or `scope` and `subject`. The log of a table
keeps the condition of a deletion for 30 days, so conditions have hashes of the names.
"""

import hashlib
import json
import re
import secrets
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wattcast.contracts import Contract, tables
from wattcast.lake.maintenance import PAYLOAD, deletable, delta_table, detail
from wattcast.lake.offsets import consecutive_ranges
from wattcast.lake.tables import LakeTables
from wattcast.times import now_utc

OFFSET = "kafka_offset"


@dataclass(frozen=True)
class HashedNames:
    """The SHA-256, in hex digits, of `salt` and the id of a building, and of `salt` and each scope and subject that names it or
    one of its devices."""

    salt: str
    building: str
    subjects: tuple[str, ...]


@dataclass(frozen=True)
class ErasedTable:
    """How many rows of a table were deleted, and from how many the payload was removed."""

    table: str
    rows: int
    payloads: int


def erasable_tables() -> list[Contract]:
    """The tables that can name a building; ledgers last, because the names of devices are read from them."""
    names_building = {"building_id", "subject", PAYLOAD}
    erasable = [table for table in tables() if names_building & set(table.column_names)]
    return sorted(erasable, key=lambda table: OFFSET in table.column_names)


def hashed_names(lake: LakeTables, building_id: str) -> HashedNames:
    """The names of a building and of the devices of its records."""
    records = lake.table("received_readings").where(F.col("building_id") == building_id)
    devices = {row.device_id for row in records.select("device_id").distinct().collect()} - {None, building_id}
    subjects = [f"building/{building_id}", f"device/{building_id}"]
    subjects += [f"device/{building_id}/{device}" for device in sorted(devices)]
    salt = secrets.token_hex(16)
    building, *hashes = (hashlib.sha256(f"{salt}{name}".encode()).hexdigest() for name in (building_id, *subjects))
    return HashedNames(salt, building, tuple(hashes))


def rows_with(lake: LakeTables, table: Contract, names: HashedNames) -> DataFrame:
    """The rows that name the building."""
    return lake.table(table.name).where(_has_name(table, names))


def record_offsets(lake: LakeTables, table: Contract, names: HashedNames) -> None:
    """Append the offsets of the rows of a ledger that name the building to `erasures`, so that the audit does not miss them.
    To be called before the rows are deleted; if it is repeated, the ranges overlap, which the audit allows."""
    if OFFSET in table.column_names:
        hashes = {"building_hash": F.lit(names.building), "salt": F.lit(names.salt), "erased_at": F.lit(now_utc())}
        ranges = consecutive_ranges(rows_with(lake, table, names)).withColumns(hashes)
        lake.append("erasures", lambda _: ranges)


def erase_rows(lake: LakeTables, table: Contract, names: HashedNames, building_id: str) -> ErasedTable:
    """Delete the rows of a table that name the building, and remove the payloads of rejected records of no known building that
    mention it. Files that the newest version does not use still have them."""
    _drop_deletion_vectors(lake, table.name)
    rows, mentions = rows_with(lake, table, names).count(), _mentions(lake, table, names, building_id)
    payloads = mentions.count() if mentions else 0
    if rows or payloads:
        with deletable(lake, table.name):
            if rows:
                delta_table(lake, table.name).delete(_has_name(table, names))
            if mentions and payloads:
                _remove_payloads(lake, table, mentions)
    return ErasedTable(table.name, rows, payloads)


def mention(building_id: str) -> str:
    """A regular expression of Java that finds an id as a whole word, as it is or as JSON escapes it."""
    forms = sorted({building_id, json.dumps(building_id)[1:-1]})
    return rf"(?<![\p{{L}}\p{{N}}_])(?:{'|'.join(map(re.escape, forms))})(?![\p{{L}}\p{{N}}_])"


def _has_name(table: Contract, names: HashedNames) -> Column:
    """Whether a row names the building. A record without a readable building may name it as its device."""
    columns = set(table.column_names)
    if "building_id" in columns:
        named = F.coalesce(*(F.col(name) for name in ("building_id", "device_id") if name in columns))
        return F.sha2(F.concat(F.lit(names.salt), named), 256) == names.building
    if {"scope", "subject"} <= columns:
        return F.sha2(F.concat(F.lit(names.salt), "scope", F.lit("/"), "subject"), 256).isin(*names.subjects)
    return F.lit(False)


def _mentions(lake: LakeTables, table: Contract, names: HashedNames, building_id: str) -> DataFrame | None:
    """The keys of rejected records of no known building whose payloads mention this one and whose rows do not name it; None for a
    table without payloads."""
    if PAYLOAD not in table.column_names:
        return None
    has_no_name = ~F.coalesce(_has_name(table, names), F.lit(False))
    rows = lake.table(table.name).where(~F.col("accepted") & has_no_name)
    if "building_id" in table.column_names:
        rows = rows.where(F.col("building_id").isNull())
    return rows.where(F.col(PAYLOAD).cast("string").rlike(mention(building_id))).select(*table.key)


def _remove_payloads(lake: LakeTables, table: Contract, keys: DataFrame) -> None:
    """Remove the payloads of these rows, with their hashes, from which short payloads could be guessed; the reasons stay."""
    is_same = " AND ".join(f"rows.{name} = keys.{name}" for name in table.key)
    merge = delta_table(lake, table.name).alias("rows").merge(keys.alias("keys"), is_same)
    merge.whenMatchedUpdate(set={PAYLOAD: "NULL", "payload_sha256": "NULL"}).execute()


def _drop_deletion_vectors(lake: LakeTables, name: str) -> None:
    """Rewrite the files in which Delta only marked rows as deleted, and end the use of such marks: the API cannot read them."""
    if "deletionVectors" in detail(lake, name)["tableFeatures"]:
        lake.set_properties(name, {"delta.enableDeletionVectors": "false"})
        lake.spark.sql(f"ALTER TABLE delta.`{lake.path(name)}` DROP FEATURE deletionVectors")
