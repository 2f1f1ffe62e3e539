"""Write what a release leaves behind, as the upgrade test reads it: python write_fixture.py FOLDER, with `wattcast` on the path.

Run it at the commit of the release, in an environment of its own: it uses the command line and Kafka alone, so it works at any
commit. FOLDER gets `records.jsonl.gz` (all records of the topic, with partition, offset and timestamp), `state.tar.gz` (lake and
checkpoints after the first part of them), `expected/<table>.parquet` (the tables after all of them), `registry.tar.gz` (the
registry with a champion, and the keys of the API) and `settings.yaml` (every setting with its value).
"""

import gzip
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from deltalake import DeltaTable
from kafka import KafkaConsumer, TopicPartition

TOPIC, LAST_DAY = "readings", "2026-01-09"
FAULTS = ("--disordered", "--delayed", "--duplicated", "--corrected", "--corrupted")
TABLES = ("received_readings", "hourly_usage", "forecasts", "forecast_scores")


def main(folder: Path) -> None:
    with TemporaryDirectory() as place:
        state = Path(place)
        os.environ |= {"WATTCAST_STATE": str(state), "WATTCAST_FORECASTING__CATCH_UP_HOURS": "48"}
        wattcast("up")
        try:
            write_lake(folder, state)
        finally:
            wattcast("down")
        write_registry(folder, state)
    from wattcast.settings import Settings

    (folder / "settings.yaml").write_text(
        yaml.safe_dump(Settings(state=".wattcast").model_dump(mode="json"), sort_keys=False)
    )


def write_lake(folder: Path, state: Path) -> None:
    """Two parts of a replay, each worked through by the pipeline; the state between them is what the release leaves."""
    readings = state / "readings.parquet"
    wattcast("simulate", str(readings), "--buildings", "3", "--days", "10", "--interval-minutes", "60", "--seed", "5")
    wattcast("buildings", "import", str(readings.with_suffix(".buildings.csv")))
    faults = [word for fault in FAULTS for word in (fault, "0.03")]
    wattcast("replay", str(readings), "--to", LAST_DAY, *faults)
    wattcast("run", "pipeline", "--once")
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / "state.tar.gz", "w:gz") as archive:
        for name in ("lake", "checkpoints"):
            archive.add(state / name, name)
    left = {record["partition"]: record["offset"] + 1 for record in records(state)}
    wattcast("replay", str(readings), "--from", LAST_DAY, *faults, "--seed", "1")
    wattcast("run", "pipeline", "--once")
    with gzip.open(folder / "records.jsonl.gz", "wt", encoding="utf-8") as file:
        for record in records(state):
            was_read = record["offset"] < left.get(record["partition"], 0)
            file.write(json.dumps(record | {"was_read": was_read}) + "\n")
    (folder / "expected").mkdir(exist_ok=True)
    for table in TABLES:
        DeltaTable(state / "lake" / table).to_pandas().to_parquet(folder / "expected" / f"{table}.parquet")


def write_registry(folder: Path, state: Path) -> None:
    """A small model as version 2 and champion of the registry, the packaged one, without its files, as version 1, and a key."""
    readings, artifact = state / "readings.parquet", state / "artifact"
    wattcast("simulate", str(readings), "--buildings", "2", "--days", "80", "--interval-minutes", "60", "--seed", "5")
    sizes = ("hidden=8", "summary=4", "batch_windows=16", "context_hours=168", "lead_hours=24")
    options = [word for size in sizes for word in ("--set", size)]
    files = [
        "--data",
        str(readings),
        "--buildings-file",
        str(readings.with_suffix(".buildings.csv")),
        "--out",
        str(artifact),
    ]
    wattcast(
        "train",
        *files,
        "--network",
        "mlp",
        *options,
        "--steps",
        "60",
        "--seed",
        "1",
        "--name",
        "small",
        "--model-version",
        "1",
    )
    wattcast("models", "register", str(artifact))
    wattcast("models", "promote", "2", "--force", "--reason", "the fixture of the upgrade test")
    wattcast("keys", "create", "reader")
    with closing(connect(state / "mlflow/mlflow.db")) as database:
        ((run,),) = database.execute("SELECT run_id FROM model_versions WHERE version = 2")
    with tarfile.open(folder / "registry.tar.gz", "w:gz") as archive:
        for name in ("mlflow/mlflow.db", f"mlflow/artifacts/{run}", "keys.json"):
            archive.add(state / name, name)


def records(state: Path) -> Iterator[dict[str, Any]]:
    """Every record of the topic, key and value as Latin-1 text, which any bytes are."""
    address = json.loads(subprocess.run(["wattcast", "status", "--json"], capture_output=True, check=True).stdout)
    consumer = KafkaConsumer(bootstrap_servers=address["bootstrap_servers"], consumer_timeout_ms=5000)
    parts = [TopicPartition(TOPIC, number) for number in sorted(consumer.partitions_for_topic(TOPIC) or ())]
    consumer.assign(parts)
    consumer.seek_to_beginning(*parts)
    for record in consumer:
        yield {
            "partition": record.partition,
            "offset": record.offset,
            "timestamp": record.timestamp,
            "key": text(record.key),
            "value": text(record.value),
        }
    consumer.close()


def text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def wattcast(*arguments: str) -> None:
    subprocess.run(["wattcast", *arguments], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
