"""Rows that name a building in every way, and where the name of an erased one is still found."""

import re
from datetime import datetime
from pathlib import Path

import pandas as pd
from pyspark.sql import functions as F
from tests.jobs.scored import append
from tests.jobs.steps import at, reading, send

from wattcast.contracts import contract, tables
from wattcast.ingest.erasure import Erasure, erase_building
from wattcast.runtime.context import Run, build_run


def name_everywhere(run: Run, building: str, other: str, *, time: datetime, arrival: str) -> None:
    """Name the building in rejected records, also unreadable ones, in health and in alerts. The other building is there, too,
    and one whose name begins in the same way."""
    hour, kafka = f"{time:%Y-%m-%dT%H:%M}", run.settings.kafka
    values = [
        f'{{"building_id": "{building}", "measured_at'.encode(),
        f'{{"building_id": "{building}er", "measured_at'.encode(),
        reading("", hour, 1.0, device_id=building),
        reading(other, hour, 1.0, humidity_pct=101),
        reading(building, hour, 1.0, humidity_pct=101, device_id="meter-7"),  # the last record of its partition
    ]
    send(run.broker, kafka.readings_topic, values, arrival=at(arrival), key=building.encode())
    send(run.broker, kafka.weather_forecasts_topic, [reading(building, hour, 1.0)], arrival=at(arrival))
    subjects = [(building, "building"), (f"{building}/meter-7", "device"), (other, "building"), (other, "device")]
    health = {"as_of": time, "measure": "completeness", "value": 1.0, "measured_at": time}
    append(run, "health", [health | {"subject": subject, "scope": scope} for subject, scope in subjects])
    alert = {"state": "firing", "changed_at": time, "rule": "r", "severity": "warning", "started_at": time, "message": "Look.",
             "created_at": time}  # fmt: skip
    append(
        run,
        "alerts",
        [alert | {"alert_id": f"of {name}", "subject": name, "scope": scope} for name, scope in subjects[:3]],
    )
    run.broker.ensure_topics([kafka.alerts_topic])


def erase(run: Run, building: str) -> Erasure:
    """By a process of its own, as far as locks go."""
    other = build_run(run.spark, run.settings)
    try:
        return erase_building(other, building)
    finally:
        other.close()


def rows_of_others(run: Run, building: str) -> dict[str, pd.DataFrame]:
    """The rows of the tables that do not name the building, in the order of their key, without payloads that mention it."""
    rows = {}
    for table in map(contract, ("received_readings", "hourly_usage", "forecasts", "health", "buildings")):
        frame = run.lake.table(table.name)
        if "device_id" in frame.columns:
            frame = frame.where(~F.coalesce("building_id", "device_id").eqNullSafe(building))
        elif "building_id" in frame.columns:
            frame = frame.where(F.col("building_id") != building)
        elif "subject" in frame.columns:
            frame = frame.where(~F.col("subject").isin(building, f"{building}/meter-7"))
        rows[table.name] = _without_mentions(frame.orderBy(*table.key).toPandas(), building)
    return rows


def _without_mentions(rows: pd.DataFrame, building: str) -> pd.DataFrame:
    """The rows without the payloads of records of no readable building that mention it."""
    if "raw_payload" not in rows:
        return rows
    is_mention = rows.raw_payload.map(lambda payload: bool(re.search(_word(building).encode(), bytes(payload or b""))))
    if "building_id" in rows:
        is_mention &= rows.building_id.isna()
    rows.loc[is_mention, ["raw_payload", "payload_sha256"]] = None
    return rows


def files_with(run: Run, building: str) -> list[str]:
    """The data files of the lake that hold the name of the building, and the commits whose operation does."""
    found, word = [], re.compile(_word(building))
    for table in tables():
        folder = Path(run.lake.path(table.name))
        data = [file for file in folder.rglob("*.parquet") if "_delta_log" not in file.parts]
        found += [
            str(file) for file in data if word.search(file.read_bytes().decode("latin-1")) or _has_value(file, word)
        ]
        for commit in folder.glob("_delta_log/*.json"):
            if any("commitInfo" in line and word.search(line) for line in commit.read_text().splitlines()):
                found.append(str(commit))
    return found


def tombstones(run: Run, topic: str) -> set[tuple[int, bytes]]:
    """Partition and key of the messages without value."""
    consumer = run.broker.consumer(topic)
    total = sum(end for _, end in run.broker.offsets(topic).values())
    records = [next(consumer) for _ in range(total)]
    consumer.close()
    return {(record.partition, record.key) for record in records if record.value is None}


def _word(building: str) -> str:
    return rf"(?<![A-Za-z0-9_]){building}(?![A-Za-z0-9_])"


def _has_value(file: Path, word: re.Pattern[str]) -> bool:
    return any(word.search(str(value)) for value in pd.read_parquet(file).to_numpy().ravel())
