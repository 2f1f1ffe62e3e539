"""The demo: readings are replayed with known faults through the whole pipeline on one machine, and the result is checked."""

import os
import shutil
import time
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql.streaming.query import StreamingQuery
from rich.console import Console
from rich.progress import Progress

from wattcast.embedded.kafka_server import EmbeddedBroker
from wattcast.errors import refuse
from wattcast.ingest.audit import audit
from wattcast.ingest.buildings import buildings_from_csv
from wattcast.local.demo.pipeline_progress import PipelineProgress
from wattcast.local.demo.replay_process import ReplayProcess
from wattcast.local.demo.report import Outcome, print_report
from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import Faults
from wattcast.local.replay.recordings import Recording, recording
from wattcast.local.simulation.simulator import write_simulation
from wattcast.runtime.context import Run, opened
from wattcast.runtime.job import Job
from wattcast.runtime.job_files import load_jobs
from wattcast.settings import settings
from wattcast.times import naive_utc

CATCH_UP_DAYS = 14
SIMULATION_START = date(2026, 3, 1)
JOBS = ("ingest", "aggregate", "forecast", "publish", "score")


@dataclass
class Demo:
    """One run of the demo, in its own state folder `<state>/demo`, which it empties first. `faults` is the share of each kind of
    fault."""

    data: Path | None
    buildings_file: Path | None
    buildings: int
    days: int
    interval_minutes: int | None
    faults: float
    seed: int
    console: Console = field(default_factory=Console)

    def run(self) -> int:
        """The exit status: 0 if all records that were sent were received, validated and forecast as expected, else 1."""
        started_at = time.monotonic()
        state = settings().state.resolve() / "demo"
        shutil.rmtree(state, ignore_errors=True)
        os.environ |= {
            "WATTCAST_STATE": str(state),
            "WATTCAST_FORECASTING__CATCH_UP_HOURS": str(24 * CATCH_UP_DAYS),
            "WATTCAST_FORECASTING__CLOCK": "arrival",
            "WATTCAST_BATCH__TRIGGER_SECONDS": "1",
            "WATTCAST_BATCH__SCORING_SECONDS": "10",
        }
        data, metadata_file = self._readings(state)
        source = recording(data, buildings=self.buildings, days=self.days)
        metadata = None if metadata_file is None else with_intervals(buildings_from_csv(metadata_file), source)
        with EmbeddedBroker(state) as kafka:
            os.environ["WATTCAST_KAFKA__BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
            settings.cache_clear()
            self.console.print(f"Kafka broker at {kafka.bootstrap_servers}. Starting Spark ...")
            with opened(once=False, name="demo") as run:
                if metadata is not None:
                    run.lake.replace("buildings", run.lake.frame("buildings", metadata))
                    negative = metadata.building_id[metadata.allows_negative_energy.eq(True)]
                    source = replace(source, allows_negative=np.isin(source.building_ids, negative))
                return print_report(self.console, run, self._outcome(run, source, started_at), state)

    def _readings(self, state: Path) -> tuple[Path, Path | None]:
        """The file to replay and its metadata; simulated without `data`."""
        if self.data is None:
            return self._simulated(state / "simulated.parquet")
        if not self.data.is_file():
            refuse(f"There is no file {self.data}.")
        beside = self.data.with_name("buildings.csv")
        return self.data, self.buildings_file or (beside if beside.is_file() else None)

    def _simulated(self, out: Path) -> tuple[Path, Path]:
        with Progress(console=self.console) as progress:
            task = progress.add_task(f"simulating {self.buildings} buildings", total=self.days)
            write_simulation(
                out, buildings=self.buildings, days=self.days, start=SIMULATION_START, interval_minutes=self.interval_minutes,
                seed=self.seed, progress=lambda days_done: progress.update(task, completed=days_done),
            )  # fmt: skip
        return out, out.with_suffix(".buildings.csv")

    def _outcome(self, run: Run, source: Recording, started_at: float) -> Outcome:
        """Replay the recording while the jobs run, let them finish, and audit the result."""
        jobs = load_jobs(JOBS)
        queries = {job.name: job.start(run) for job in jobs}
        faults = Faults(*[self.faults] * len(fields(Faults)))
        replaying = ReplayProcess(source, run.settings.kafka, faults, self.seed)
        all_queries = [query for started in queries.values() for query in started]
        with PipelineProgress(run, all_queries, self.console, started_at) as progress:
            while not replaying.is_done():
                progress.update(replaying.share_sent)
            counts = replaying.counts()
            progress.update(1.0, sent=counts.sent)
            finish(run, jobs, queries, counts, progress)
        for query in all_queries:
            query.stop()
        seconds = time.monotonic() - started_at
        partitions = audit(run, recheck=True)
        return Outcome(counts, partitions, progress.consumed, progress.first_forecast_seconds, seconds)


def finish(
    run: Run,
    jobs: list[Job],
    queries: dict[str, list[StreamingQuery]],
    counts: ReplayCounts,
    progress: PipelineProgress,
) -> None:
    """Let every job process all rows, close the hours that would close by waiting, and consume their forecasts."""
    end = max(time for time in (counts.last_arrival, counts.last_measured_at) if time is not None)
    closing_time = timedelta(hours=1, minutes=run.settings.closing.max_wait_minutes)
    closing = replace(run, close_at=naive_utc(end) + closing_time)
    for job in jobs:
        progress.wait_until_idle(queries[job.name])
        if job.reconcile:
            job.reconcile(closing)
    progress.wait_until_consumed()


def with_intervals(metadata: pd.DataFrame, source: Recording) -> pd.DataFrame:
    """The metadata with the interval of the recording for buildings that have none."""
    minutes = dict(zip(source.building_ids, (source.interval_ms // 60_000).tolist(), strict=True))
    divisors = {building: interval for building, interval in minutes.items() if interval and 60 % interval == 0}
    recorded = pd.Series(
        [divisors.get(building) for building in metadata.building_id], index=metadata.index, dtype=object
    )
    interval = metadata.reading_interval_minutes
    return metadata.assign(reading_interval_minutes=interval.where(interval.notna(), recorded))
