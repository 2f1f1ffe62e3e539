"""Injects faults into a running pipeline, one at a time: kills at chosen moments, a broker that dies, damaged checkpoints."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tests.chaos.broker import ChaosBroker
from tests.chaos.checkpoints import delete_checkpoint, truncate_newest_file
from tests.chaos.feed import Feed
from tests.chaos.moments import MOMENTS, QUERIES, Moment, stages
from tests.chaos.pipeline import Pipeline, stop_process
from tests.jobs.steps import numbers

CUTS = (150, 500, 2000)  # records that a batch of ingest reads at most: another one after each start
START_SECONDS, MOMENT_SECONDS = 120, 90
FAULTS = (
    "group",
    "driver",
    "group",
    "jvm",
    "group",
    "worker",
    "group",
    "broker",
)  # dealt in a random order, then again
CHECKPOINT_FAULTS = (*QUERIES, "truncate", "truncate", "none")  # a query loses its checkpoint; the same


@dataclass
class Tally:
    """What was done to the pipeline; `hangs` counts kills after which other processes of the pipeline did not end."""

    faults: Counter[str] = field(default_factory=Counter)
    moments: set[Moment] = field(default_factory=set)
    unexpected_ends: int = 0
    hangs: int = 0


class Injection:
    """Decides by `rng` which fault comes next; `say` receives a line for each."""

    def __init__(
        self, state: Path, pipeline: Pipeline, broker: ChaosBroker, feed: Feed, rng: np.random.Generator,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.tally = Tally()
        self._state, self._pipeline, self._broker, self._feed = state, pipeline, broker, feed
        self._rng, self._say = rng, say
        self._faults, self._checkpoint_faults = _Deck(FAULTS, rng), _Deck(CHECKPOINT_FAULTS, rng)
        self._truncated = ""  # the query whose checkpoint is damaged now
        self._survived = ""  # what was killed without the end of the pipeline, which can come later

    def start_pipeline(self) -> None:
        """Start it, in most cases with a damaged checkpoint; a truncated one that it refuses is removed as in the runbook."""
        self._damage_a_checkpoint()
        self._survived = ""
        self._pipeline.start(max_offsets=int(self._rng.choice(CUTS)))
        if not self._progresses(self._truncated) and not self._pipeline.is_running:
            self._ended_by_itself()
            self._pipeline.start(max_offsets=int(self._rng.choice(CUTS)))
            self._progresses()
        self._truncated = ""

    def inject(self) -> None:
        """Kill a process of the running pipeline, or the broker."""
        fault = self._faults.draw()
        if fault in ("worker", "broker"):
            self._kill_beside(fault)
        elif not self._kill_at_a_moment(fault):
            self._faults.put_back(fault)

    def delete_other_checkpoints(self) -> None:
        """Delete the checkpoints that were not deleted since the faults of checkpoints were dealt."""
        for query in self._checkpoint_faults.left():
            if query in QUERIES and delete_checkpoint(self._state, query):
                self._note("checkpoint deleted", query)

    def _damage_a_checkpoint(self) -> None:
        fault = self._checkpoint_faults.draw()
        if fault == "truncate":
            query = str(self._rng.choice(QUERIES))
            if file := truncate_newest_file(self._state, query, self._rng):
                self._truncated = query
                self._note("checkpoint file truncated", file)
        elif fault != "none" and delete_checkpoint(self._state, fault):
            self._note("checkpoint deleted", fault)

    def _progresses(self, query: str = "") -> bool:
        """Whether the query, or any, ends a batch within the time of a start."""
        folders = [self._state / "checkpoints" / name / "commits" for name in ([query] if query else QUERIES)]
        before = [numbers(folder) for folder in folders]
        return self._pipeline.wait_until(lambda: [numbers(folder) for folder in folders] != before, START_SECONDS)

    def _ended_by_itself(self) -> None:
        self._pipeline.ended()
        if self._truncated:
            delete_checkpoint(self._state, self._truncated)
            self._say(
                f"the pipeline refuses the truncated checkpoint of {self._truncated}: removed, as the runbook says"
            )
            self._truncated = ""
        elif self._survived:
            self._say(f"the pipeline ended because of the {self._survived} that was killed")
        else:
            self.tally.unexpected_ends += 1
            self._say(f"the pipeline ended by itself:\n{self._pipeline.tail()}")

    def _kill_at_a_moment(self, fault: str) -> bool:
        """Kill the process group, the driver or the JVM as soon as a query reaches a stage, one that was not hit yet first.
        False if the pipeline ends before."""
        missing = [moment for moment in MOMENTS if moment not in self.tally.moments]
        choice = missing or list(MOMENTS)
        moment = choice[int(self._rng.integers(len(choice)))]
        folder = moment.folder(self._state)
        before, new_files = numbers(folder), int(self._rng.integers(1, 3))
        is_reached = self._pipeline.wait_until(lambda: len(numbers(folder) - before) >= new_files, MOMENT_SECONDS)
        if not self._pipeline.is_running:
            self._ended_by_itself()
            return False
        self._kill(fault)
        reached = stages(self._state)
        self.tally.moments |= {Moment(query, stage) for query, stage in reached.items()} & set(MOMENTS)
        at = f"{moment.query} {moment.stage}" if is_reached else f"no {moment.query} {moment.stage} came"
        self._note(f"{fault} killed", f"{at}: " + ", ".join(f"{query} {stage}" for query, stage in reached.items()))
        return True

    def _kill(self, fault: str) -> None:
        if fault == "group":
            self._pipeline.kill()
        for process in self._pipeline.processes(fault):
            stop_process(process)
        if not self._pipeline.ended():
            self.tally.hangs += 1
            self._say(f"processes of the pipeline were left when its {fault} was killed; they were ended")

    def _kill_beside(self, fault: str) -> None:
        """Kill a Python worker or the broker, which the pipeline may survive."""
        if fault == "worker":
            self._pipeline.wait_until(lambda: bool(self._pipeline.processes("worker")), MOMENT_SECONDS)
            for worker in self._pipeline.processes("worker")[:1]:
                stop_process(worker)
        else:
            self._feed.wait()
            self._broker.kill_and_start()
            self._feed.send(self._broker.servers, 2)
        self._survived = fault
        survives = self._progresses()
        if not survives:
            self._pipeline.ended()
        self._note(f"{fault} killed", "the pipeline goes on" if survives else "the pipeline ended")

    def _note(self, fault: str, detail: str) -> None:
        self.tally.faults[fault] += 1
        self._say(f"{fault}: {detail}")


class _Deck:
    """Values in a random order, each as often as it is listed before any comes again."""

    def __init__(self, values: tuple[str, ...], rng: np.random.Generator) -> None:
        self._values, self._rng = values, rng
        self._cards: list[str] = []

    def draw(self) -> str:
        if not self._cards:
            self._cards = [str(value) for value in self._rng.permutation(self._values)]
        return self._cards.pop()

    def put_back(self, value: str) -> None:
        self._cards.append(value)

    def left(self) -> list[str]:
        return list(self._cards)
