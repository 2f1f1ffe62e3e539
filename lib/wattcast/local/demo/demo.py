"""The demo: a real broker, recorded or simulated readings replayed with known faults, the pipeline, and a plain consumer."""

import importlib
import json
import multiprocessing
import os
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql.streaming.query import StreamingQuery
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from wattcast.audit import audit
from wattcast.broker import Broker
from wattcast.errors import refuse
from wattcast.job import Job, Run, opened
from wattcast.local.demo.report import Outcome, print_report
from wattcast.local.embedded.kafka_server import EmbeddedBroker
from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import Recording, recording
from wattcast.metadata import buildings_of
from wattcast.settings import project_folder, settings

CATCH_UP_DAYS = 14
SIMULATED_FROM = date(2026, 3, 1)
JOBS = ("ingest", "aggregate", "forecast", "publish", "score")


@dataclass
class Demo:
    """One run of the demo in a state folder of its own, `<state>/demo`, which begins empty."""

    data: Path | None
    buildings_file: Path | None
    buildings: int
    days: int
    interval_minutes: int | None
    faults: float
    seed: int
    console: Console = field(default_factory=Console)

    def run(self) -> int:
        """0 when all that was sent was received, judged and forecast as it must be; 1 otherwise."""
        began = time.monotonic()
        state = settings().state.resolve() / "demo"
        shutil.rmtree(state, ignore_errors=True)
        os.environ |= {
            "WATTCAST_STATE": str(state),
            "WATTCAST_FORECASTING__CATCH_UP_HOURS": str(24 * CATCH_UP_DAYS),
            "WATTCAST_FORECASTING__CLOCK": "arrival",
            "WATTCAST_BATCH__TRIGGER_SECONDS": "1",
            "WATTCAST_BATCH__SCORING_SECONDS": "10",
        }
        data, metadata = self._readings(state)
        source = recording(data, buildings=self.buildings, days=self.days)
        known = None if metadata is None else with_intervals(buildings_of(metadata), source)
        with EmbeddedBroker(state) as kafka:
            os.environ["WATTCAST_KAFKA__BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
            settings.cache_clear()
            self.console.print(f"Kafka broker at {kafka.bootstrap_servers}. Starting Spark ...")
            with opened(once=False, name="demo") as run:
                if known is not None:
                    run.lake.replace("buildings", run.lake.frame("buildings", known))
                    negative = known.building_id[known.allows_negative_energy.eq(True)]
                    source = replace(source, allows_negative=np.isin(source.building_ids, negative))
                outcome = self._piped(run, source, began)
                return print_report(self.console, run, outcome, state)

    def _readings(self, state: Path) -> tuple[Path, Path | None]:
        """The file to replay and its metadata, simulated where none was given."""
        if self.data is not None:
            if not self.data.is_file():
                refuse(f"There is no file {self.data}.")
            beside = self.data.with_name("buildings.csv")
            return self.data, self.buildings_file or (beside if beside.is_file() else None)
        from wattcast.local.simulation.simulator import write_simulation

        out = state / "simulated.parquet"
        with Progress(console=self.console) as progress:
            task = progress.add_task(f"simulating {self.buildings} buildings", total=self.days)
            write_simulation(
                out, buildings=self.buildings, days=self.days, start=SIMULATED_FROM, interval_minutes=self.interval_minutes,
                seed=self.seed, progress=lambda done: progress.update(task, completed=done),
            )  # fmt: skip
        return out, out.with_suffix(".buildings.csv")

    def _piped(self, run: Run, source: Recording, began: float) -> Outcome:
        jobs = _jobs()
        queries = {job.name: job.start(run) for job in jobs}
        replaying = _Replaying(self, source, run)
        watched = _Watched(run, queries, began)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self.console,
        ) as progress:
            watched.bars(progress)
            while not replaying.is_done():
                watched.look(replaying.share.value)
            counts = replaying.counts()
            watched.look(1.0, sent=counts.sent)
            self._finish(run, jobs, queries, counts, watched)
        audited = audit(run, recheck=True)
        return Outcome(counts, audited, watched.consumed, watched.first_forecast_seconds, time.monotonic() - began)

    def _finish(
        self,
        run: Run,
        jobs: list[Job],
        queries: dict[str, list[StreamingQuery]],
        counts: ReplayCounts,
        watched: "_Watched",
    ) -> None:
        """Let every job work through what came, then end the replay: close what would close by waiting, and forecast it."""
        end = max(each for each in (counts.last_arrival, counts.last_measured_at) if each is not None)
        last = end.astimezone(UTC).replace(tzinfo=None) + timedelta(
            hours=1, minutes=run.settings.closing.max_wait_minutes
        )
        closing = Run(run.lake, run.broker, run.settings, close_at=last)
        for job in jobs:
            watched.until_idle(queries[job.name])
            if job.reconcile:
                job.reconcile(closing)
        watched.until_consumed()
        for query in (each for started in queries.values() for each in started):
            query.stop()


class _Replaying:
    """The replay, in a process of its own: it and Spark's driver would share one interpreter otherwise."""

    def __init__(self, demo: Demo, source: Recording, run: Run) -> None:
        context = multiprocessing.get_context("spawn")
        self.share = context.Value("d", 0.0)
        self._receiver, sender = context.Pipe(duplex=False)
        faults = Faults(*[demo.faults] * len(fields(Faults)))
        arguments = (source, run.settings.kafka, faults, demo.seed, sender, self.share)
        self._process = context.Process(target=_replay, args=arguments, daemon=True)
        self._process.start()
        sender.close()

    def is_done(self) -> bool:
        return self._receiver.poll() or not self._process.is_alive()

    def counts(self) -> ReplayCounts:
        try:
            result = self._receiver.recv()
        except EOFError:
            sys.exit("The replay ended without a result; what it printed above says why.")
        self._process.join()
        if isinstance(result, str):
            sys.exit(result)
        counts: ReplayCounts = result
        return counts


def _replay(source: Recording, kafka: Any, faults: Faults, seed: int, sender: Connection, share: Any) -> None:
    from wattcast.local.replay.replay import replay

    def progress(done: float, _: int) -> None:
        share.value = done

    try:
        topic = kafka.readings_topic
        sender.send(replay(source, Broker(kafka), topic=topic, faults=faults, seed=seed, progress=progress))
    except (ValueError, OSError) as error:
        sender.send(str(error))


class _Watched:
    """Progress of the queries, and the forecasts that a plain consumer receives meanwhile."""

    def __init__(self, run: Run, queries: dict[str, list[StreamingQuery]], began: float) -> None:
        self._run, self._queries, self._began = run, queries, began
        self._rows: Counter[str] = Counter()
        self._batches: dict[str, int] = {}
        self._consumer = run.broker.consumer(run.settings.kafka.forecasts_topic)
        self.consumed: list[dict[str, Any]] = []
        self.first_forecast_seconds: float | None = None

    def bars(self, progress: Progress) -> None:
        self._progress = progress
        names = {"sent": "readings sent (%)", "ingest": "records received", "aggregate": "readings aggregated",
                 "forecast": "hours forecast from", "consumed": "forecasts consumed from Kafka"}  # fmt: skip
        self._tasks = {
            key: progress.add_task(f"{name:<30}", total=100 if key == "sent" else None) for key, name in names.items()
        }

    def look(self, share: float, sent: int | None = None) -> None:
        """Read what Kafka has and what the queries did since the last look; raises what made a query fail."""
        for messages in self._consumer.poll(timeout_ms=300).values():
            self.consumed += [json.loads(message.value) for message in messages]
        if self.consumed and self.first_forecast_seconds is None:
            self.first_forecast_seconds = time.monotonic() - self._began
            self._progress.console.print(
                f"First forecast consumed from Kafka after {self.first_forecast_seconds:.0f} s."
            )
        for query in (each for started in self._queries.values() for each in started):
            self._count(query)
        self._progress.update(self._tasks["sent"], completed=round(100 * share))
        for name in ("ingest", "aggregate", "forecast"):
            self._progress.update(
                self._tasks[name], completed=self._rows[name], total=sent if name == "ingest" else None
            )
        self._progress.update(self._tasks["consumed"], completed=len(self.consumed))

    def until_idle(self, queries: list[StreamingQuery]) -> None:
        for query in queries:
            query.processAllAvailable()
        self.look(1.0)

    def until_consumed(self) -> None:
        """Until the consumer stands where the topic ends."""
        topic = self._run.settings.kafka.forecasts_topic
        ends = self._run.broker.offsets(topic)
        while any(self._consumer.position(part) < ends[part.partition][1] for part in self._consumer.assignment()):
            self.look(1.0)
        self._consumer.close()

    def _count(self, query: StreamingQuery) -> None:
        if (error := query.exception()) is not None:
            raise error
        progress, name = query.lastProgress, query.name or ""
        if progress is not None and self._batches.get(name) != progress["batchId"]:
            self._batches[name] = progress["batchId"]
            self._rows[name] += progress["numInputRows"]


def with_intervals(known: pd.DataFrame, source: Recording) -> pd.DataFrame:
    """The metadata, with the intervals that the recording has where they are not told."""
    minutes = dict(zip(source.building_ids, (source.interval_ms // 60_000).tolist(), strict=True))
    seen = {building: each for building, each in minutes.items() if each and 60 % each == 0}
    interval = known.reading_interval_minutes
    found = pd.Series([seen.get(building) for building in known.building_id], index=known.index, dtype=object)
    return known.assign(reading_interval_minutes=interval.where(interval.notna(), found))


def _jobs() -> list[Job]:
    sys.path.insert(0, str(project_folder("jobs")))
    return [getattr(importlib.import_module(name), name.upper()) for name in JOBS]
