"""How far a batch of a streaming query is, by the files that it leaves: the moments at which a run is killed."""

from pathlib import Path
from typing import Literal, NamedTuple

from tests.jobs.steps import numbers

Stage = Literal["offsets", "table", "commits"]
"""`offsets`: a batch has begun; `table`: its rows are committed, its checkpoint is not; `commits`: its checkpoint is."""

TABLES = {"ingest": "received_readings", "aggregate": "hourly_usage", "forecast": "forecasts"}
QUERIES = (*TABLES, "publish")


class Moment(NamedTuple):
    """A stage of a query. `publish` writes to a topic, so that its stage `offsets` includes that messages are sent."""

    query: str
    stage: Stage

    def folder(self, state: Path) -> Path:
        """Gets a new file when a batch reaches the stage."""
        if self.stage == "table":
            return state / "lake" / TABLES[self.query] / "_delta_log"
        return state / "checkpoints" / self.query / self.stage


MOMENTS = (
    *(Moment(query, stage) for query in ("ingest", "aggregate") for stage in ("offsets", "table", "commits")),
    Moment("forecast", "offsets"), Moment("forecast", "table"), Moment("publish", "offsets"),
)  # fmt: skip
"""Each was a place where rows could be lost or doubled; a run covers all of them if it has the time."""


def stages(state: Path) -> dict[str, Stage]:
    """By query, the stage of its newest batch; queries without a batch are left out."""
    return {query: stage for query in QUERIES if (stage := _stage(state, query))}


def _stage(state: Path, query: str) -> Stage | None:
    begun = numbers(state / "checkpoints" / query / "offsets")
    if not begun:
        return None
    if max(begun) in numbers(state / "checkpoints" / query / "commits"):
        return "commits"
    began_ns = (state / "checkpoints" / query / "offsets" / str(max(begun))).stat().st_mtime_ns
    log = state / "lake" / TABLES[query] / "_delta_log" if query in TABLES else None
    versions = [] if log is None else [file for file in log.glob("*.json") if file.stem.isdigit()]
    return "table" if any(file.stat().st_mtime_ns > began_ns for file in versions) else "offsets"
