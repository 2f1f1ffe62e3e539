"""A run of chaos: rounds of one fault each against a pipeline that reads a faulty replay, and an undisturbed end."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
from tests.chaos.beside import Beside
from tests.chaos.broker import ChaosBroker
from tests.chaos.feed import Feed
from tests.chaos.injection import CUTS, Injection, Tally
from tests.chaos.judge.evidence import Evidence, Rules, load_evidence, utc, write_sent
from tests.chaos.moments import MOMENTS
from tests.chaos.pipeline import Pipeline
from tests.chaos.platform import CONTEXT_HOURS, GRACE_MINUTES, HEARD_WITHIN_DAYS, LEAD_HOURS, MAX_WAIT_MINUTES
from tests.chaos.source import simulated_source

FINISH_SECONDS = 600
HOURS_BEFORE_START = (
    3  # of arrival, so that each partition has records: an empty one does not hold the low watermark back
)
SECONDS_PER_ROUND = 25  # a start of Spark and a few batches
SHARE_OF_ROUNDS_BESIDE = 0.3  # with maintenance or a backfill


@dataclass(frozen=True)
class Options:
    """Faults are injected for `minutes`, at least `min_rounds` of them; with `cover` only until all MOMENTS were hit."""

    state: Path
    seed: int
    minutes: float = 5
    buildings: int = 12
    days: int = 3
    min_rounds: int = 0
    cover: bool = False


class Chaos:
    """One run; `say` receives a line for each fault."""

    def __init__(self, options: Options, broker: ChaosBroker, say: Callable[[str], None]) -> None:
        state, rng = options.state, np.random.default_rng(options.seed)
        self._options, self._broker, self._rng, self._say = options, broker, rng, say
        self._source = simulated_source(state, buildings=options.buildings, days=options.days, seed=options.seed)
        self._feed, self._pipeline = Feed(self._source, "readings"), Pipeline(state)
        self._beside = Beside(state, self._source, say)
        self._injection = Injection(state, self._pipeline, broker, self._feed, rng, say)

    @property
    def tally(self) -> Tally:
        return self._injection.tally

    def run(self) -> Evidence:
        """Everything from the first record to the tables at the end."""
        self._broker.start()
        self._feed.send(self._broker.servers, HOURS_BEFORE_START)
        self._beside.run("buildings", "import", str(self._source.metadata_file))
        self._feed.wait()
        end = time.monotonic() + 60 * self._options.minutes
        planned, number = int(60 * self._options.minutes / SECONDS_PER_ROUND), 0
        while self._goes_on(number, end):
            self._round(max(2, planned - number))
            number += 1
        return self._finish()

    def _goes_on(self, number: int, end: float) -> bool:
        if not self._feed.hours_left:
            return False
        is_done = self._options.cover and self.tally.moments >= set(MOMENTS)
        return number < self._options.min_rounds or (time.monotonic() < end and not is_done)

    def _round(self, rounds_left: int) -> None:
        """A start where the pipeline does not run, some hours of records, and a fault."""
        if not self._pipeline.is_running:
            self._injection.start_pipeline()
        self._feed.send(self._broker.servers, max(3, self._feed.hours_left // rounds_left))
        self._injection.inject()
        self._feed.wait()
        if self._rng.random() < SHARE_OF_ROUNDS_BESIDE:
            self._beside.start_one(self._rng)
            self.tally.faults["maintenance or backfill beside"] += 1

    def _finish(self) -> Evidence:
        """Everything that is left arrives; then the pipeline works it off and closes the hours that time closes."""
        state = self._options.state
        self._pipeline.kill()
        self._beside.wait()
        self._feed.send(self._broker.servers, self._feed.hours_left)
        self._feed.wait()
        self._injection.delete_other_checkpoints()
        rules = self._rules()
        write_sent(state / "sent.jsonl", self._feed.sent, rules)
        self._say(f"{len(self._feed.sent)} records are sent; the pipeline finishes undisturbed")
        close_at = rules.close_at.replace(tzinfo=None).isoformat()
        self._pipeline.finish("--close-at", close_at, max_offsets=int(self._rng.choice(CUTS)), seconds=FINISH_SECONDS)
        return load_evidence(self._broker.servers, state / "lake", self._feed.sent, rules)

    def _rules(self) -> Rules:
        return Rules(
            grace=timedelta(minutes=GRACE_MINUTES),
            max_wait=timedelta(minutes=MAX_WAIT_MINUTES),
            lead_hours=LEAD_HOURS,
            context_hours=CONTEXT_HOURS,
            heard_within=timedelta(days=HEARD_WITHIN_DAYS),
            close_at=utc(self._source.last_arrival_ms) + timedelta(hours=5),
        )

    def close(self) -> None:
        """End all processes of the run but the broker."""
        self._pipeline.kill()
        self._beside.kill()
