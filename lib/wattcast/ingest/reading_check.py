"""`wattcast check-reading`: whether ingest would accept the records of a file, and why not."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import TableNotFoundError
from pyspark.sql import SparkSession

from wattcast.contracts import contract
from wattcast.errors import refuse
from wattcast.ingest.rejection_reasons import MAX_FILE_BYTES, TooManyRecords, records_of_file, rejection_reasons
from wattcast.ingest.validation import received_rows
from wattcast.lake.reader import TableUnreadable, table
from wattcast.runtime.session import small_session
from wattcast.settings import Settings, settings
from wattcast.times import instant


@dataclass(frozen=True)
class CheckedRecord:
    """A record of the file, numbered from 1, with each rule that it breaks and the reason."""

    number: int
    broken: tuple[tuple[str, str], ...]

    @property
    def is_accepted(self) -> bool:
        return not self.broken

    def as_json(self) -> dict[str, object]:
        broken = [{"rule": rule, "reason": reason} for rule, reason in self.broken]
        return {"record": self.number, "accepted": self.is_accepted, "broken": broken}


def check_file(file: str, arrived_at: str = "") -> list[CheckedRecord]:
    """The records of a file (- is standard input), checked as if they arrived at that time (default: now).

    The metadata of buildings comes from the lake; without a lake, every building counts as one without metadata.
    """
    arrival = instant(arrived_at) if arrived_at else datetime.now(UTC)
    try:
        records = records_of_file(_content(file))
    except TooManyRecords as error:
        refuse(str(error))
    spark = small_session(settings(), name="check-reading")
    try:
        rules_by_record = broken_rules(
            spark, records, arrival, _buildings(settings()), only_known=settings().buildings.only_known
        )
    finally:
        spark.stop()
    topic = contract("readings")
    return [
        CheckedRecord(number, tuple(zip(rules, rejection_reasons(rules, record, topic), strict=True)))
        for number, (record, rules) in enumerate(zip(records, rules_by_record, strict=True), start=1)
    ]


def broken_rules(
    spark: SparkSession,
    records: Sequence[bytes | None],
    arrival: datetime,
    buildings: Sequence[tuple[object, ...]] = (),
    *,
    only_known: bool = False,
) -> list[tuple[str, ...]]:
    """The rules that each record breaks if it arrives at that time, by the function that ingest uses.

    `buildings` are rows of the contract `buildings`; with `only_known` a record of another building breaks a rule.
    """
    count = len(records)
    kafka_records = pa.table(
        {
            "key": pa.nulls(count, pa.binary()),
            "value": pa.array(records, pa.binary()),
            "topic": pa.repeat("", count),
            "partition": pa.repeat(0, count).cast(pa.int32()),
            "offset": pa.array(range(count), pa.int64()),
            "timestamp": pa.array([arrival] * count, pa.timestamp("us", "UTC")),
        }
    )
    metadata = spark.createDataFrame(list(buildings), contract("buildings").schema)
    validated = received_rows(
        spark.createDataFrame(kafka_records), topic=contract("readings"), table=contract("received_readings"),
        metadata=metadata, only_known=only_known,
    )  # fmt: skip
    rows = validated.select("kafka_offset", "rejected_for").collect()
    return [tuple(row.rejected_for) for row in sorted(rows, key=lambda row: int(row.kafka_offset))]


def _buildings(current: Settings) -> list[tuple[object, ...]]:
    """The rows of the table `buildings`; none if the lake does not exist."""
    try:
        rows = table(current.lake_uri, "buildings").to_table()
    except TableUnreadable as error:
        if isinstance(error.__cause__, TableNotFoundError):
            return []
        refuse(str(error))
    return [tuple(row[name] for name in contract("buildings").column_names) for row in rows.to_pylist()]


def _content(file: str) -> bytes:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror}.")
    if len(content) > MAX_FILE_BYTES:
        raise TooManyRecords(f"{file} is larger than {MAX_FILE_BYTES // 2**20} MiB: check a part of it.")
    return content
