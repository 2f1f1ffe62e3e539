"""The commands of whoever looks after the meters: what each device did of late, and whether a reading would be taken."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.errors import FAILED, refuse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from rich.table import Table

    from wattcast.devices import Device, Devices
    from wattcast.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def devices(
    building: Annotated[str, typer.Option(help="Only of this building.")] = "",
    state: Annotated[str, typer.Option(help="Only in this state: silent, rejected, stuck, noisy, late or ok.")] = "",
    as_of: Annotated[
        str,
        typer.Option(
            help="As at this time (ISO 8601); default: now, or the newest arrival where readings are replayed."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Devices: when each was heard last, its gaps, and why its last readings were rejected."""
    from deltalake.exceptions import TableNotFoundError

    from wattcast.devices import STATES
    from wattcast.devices import devices as found_in
    from wattcast.settings import settings
    from wattcast.tables import TableUnreadable
    from wattcast.terminal import show
    from wattcast.times import instant

    if state and state not in STATES:
        refuse(f"There is no state {state}: there are {', '.join(STATES)}.")
    current = settings()
    at = instant(as_of) if as_of else datetime.now(UTC) if current.forecasting.clock == "wall" else None
    try:
        found = found_in(
            current.lake_uri, as_of=at, building_id=building or None, grace_minutes=current.closing.grace_minutes,
            heard_within_days=current.forecasting.heard_within_days,
        )  # fmt: skip
    except TableUnreadable as error:
        if isinstance(error.__cause__, TableNotFoundError):
            refuse(f"Nothing has been received yet into {current.lake_uri}: `wattcast run ingest` receives readings.")
        refuse(str(error))
    if building and not found.items:
        refuse(
            f"No record of a building {building} that names its device arrived in the "
            f"{current.forecasting.heard_within_days} days before."
        )
    shown = [each for each in found.items if not state or each.state == state]
    if as_json:
        print(json.dumps(_as_json(found, shown), indent=2))
    else:
        show(_table(found, shown))


def check_reading(
    file: Annotated[str, typer.Argument(help="One JSON object, or one on each line; - reads what is piped in.")],
    arrived_at: Annotated[str, typer.Option(help="When it would arrive (ISO 8601); default: now.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say whether readings would be accepted, by the very rules of the pipeline; exit 1 if one is refused."""
    from wattcast.contracts import contract
    from wattcast.session import small_session
    from wattcast.settings import settings
    from wattcast.times import instant
    from wattcast.verdicts import TooMuch, payloads, reasons

    arrival = instant(arrived_at) if arrived_at else datetime.now(UTC)
    try:
        records = payloads(_content(file))
    except TooMuch as error:
        refuse(str(error))
    spark = small_session(settings(), name="check-reading")
    try:
        verdicts = judged(spark, records, arrival, _buildings(settings()))
    finally:
        spark.stop()
    topic = contract("readings")
    told = [
        list(zip(rules, reasons(rules, record, topic), strict=True))
        for record, rules in zip(records, verdicts, strict=True)
    ]
    if as_json:
        found = [
            {
                "record": number,
                "accepted": not broken,
                "broken": [{"rule": rule, "reason": why} for rule, why in broken],
            }
            for number, broken in enumerate(told, start=1)
        ]
        print(json.dumps({"accepted": not any(told), "records": found}, indent=2))
    else:
        for number, broken in enumerate(told, start=1):
            print(f"record {number}: {'refused' if broken else 'accepted'}")
            for rule, why in broken:
                print(f"  {rule}: {why}")
    sys.exit(FAILED if any(told) else 0)


def judged(
    spark: "SparkSession",
    records: Sequence[bytes | None],
    arrival: datetime,
    buildings: Sequence[tuple[object, ...]] = (),
) -> list[tuple[str, ...]]:
    """The rules that each record breaks if it arrives then, by the function with which ingest judges it. `buildings` are rows of
    the contract of that name."""
    import pyarrow as pa

    from wattcast.contracts import contract
    from wattcast.readings import received

    count = len(records)
    sent = pa.table(
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
    rows = received(
        spark.createDataFrame(sent), topic=contract("readings"), table=contract("received_readings"), metadata=metadata
    )
    kept = rows.select("kafka_offset", "rejected_for").collect()
    return [tuple(row.rejected_for) for row in sorted(kept, key=lambda row: int(row.kafka_offset))]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(devices)
    app.command("check-reading")(check_reading)


def _buildings(settings: "Settings") -> "list[tuple[object, ...]]":
    """The metadata of the lake; none where there is no lake yet."""
    from deltalake.exceptions import TableNotFoundError

    from wattcast.contracts import contract
    from wattcast.tables import TableUnreadable, table

    try:
        rows = table(settings.lake_uri, "buildings").to_table()
    except TableUnreadable as error:
        if isinstance(error.__cause__, TableNotFoundError):
            return []
        refuse(str(error))
    return [tuple(row[name] for name in contract("buildings").column_names) for row in rows.to_pylist()]


def _content(file: str) -> bytes:
    from wattcast.verdicts import MOST_BYTES, TooMuch

    try:
        if file == "-":
            content = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(MOST_BYTES + 1)
    except OSError as error:
        refuse(f"{file} cannot be read: {error.strerror}.")
    if len(content) > MOST_BYTES:
        raise TooMuch(f"{file} has more than {MOST_BYTES // 2**20} MiB: check a part of it.")
    return content


def _as_json(found: "Devices", shown: "Sequence[Device]") -> dict[str, object]:
    def plain(value: object) -> object:
        return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value

    return {
        "as_of": plain(found.as_of),
        "without_device_24h": found.without_device_24h,
        "items": [{name: plain(value) for name, value in asdict(each).items()} for each in shown],
    }


def _table(found: "Devices", shown: "Sequence[Device]") -> "Table":
    from rich.table import Table

    from wattcast.terminal import plain

    title = f"Devices as of {found.as_of:%Y-%m-%d %H:%M} UTC" if found.as_of else "No record has arrived yet"
    nameless = (
        f"; {found.without_device_24h:,} records of the last 24 h name no device" if found.without_device_24h else ""
    )
    table = Table(title=title, caption=f"{len(shown):,} devices{nameless}")
    for name in ("building", "device"):
        table.add_column(name, overflow="fold")
    for name in ("state", "last seen"):
        table.add_column(name, no_wrap=True)
    table.add_column("last 24 h", overflow="fold")
    for each in shown:
        seen = f"{each.last_seen_at:%Y-%m-%d %H:%M}"
        table.add_row(*map(plain, (each.building_id, each.device_id, each.state, seen, ", ".join(_of_a_day(each)))))
    return table


def _of_a_day(device: "Device") -> "Iterator[str]":
    """What a device did in the last 24 hours: how many readings it sent, then what was not well with them."""
    yield f"{device.readings_24h:,} readings"
    if device.gaps_24h:
        yield f"{device.gaps_24h} gap{'' if device.gaps_24h == 1 else 's'} of {device.longest_gap_minutes:.0f} min at most"
    if device.late_share:
        yield f"{device.late_share:.0%} late"
    if device.stuck_hours and device.stuck_hours > 1:
        yield f"the same energy for {device.stuck_hours:.0f} h"
    if device.rejected_24h:
        yield f"{device.rejected_24h:,} rejected, the last for {', '.join(device.last_rejected_for)}"
