"""A batch of a streaming query, from Spark's JSON report of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

Starts = Callable[[str], Mapping[int, tuple[int, int]]]
"""By partition of a topic, the broker's first and next offset."""


@dataclass(frozen=True)
class BatchProgress:
    """A batch that has ended.

    `records` were read from Kafka, and `records_left` are those that the run will still read; None for a query that reads tables.
    `messages` were sent to Kafka.
    """

    query: str
    batch: int
    seconds: float
    records: int | None = None
    records_left: int | None = None
    messages: int = 0

    @classmethod
    def of(cls, report: Mapping[str, Any], starts: Starts) -> "BatchProgress":
        """`starts` tells where reading began, for the first batch of a query."""
        sources = [source for source in report.get("sources", ()) if "Kafka" in str(source.get("description"))]
        sink = report.get("sink") or {}
        messages = sink.get("numOutputRows", 0) if "kafka" in str(sink.get("description")).lower() else 0
        return cls(
            query=str(report.get("name") or report["id"]),
            batch=int(report["batchId"]),
            seconds=report.get("durationMs", {}).get("triggerExecution", 0) / 1000,
            records=sum(_records(source, starts) for source in sources) if sources else None,
            records_left=lag_records(sources),
            messages=max(0, int(messages or 0)),
        )


def lag_records(sources: list[Mapping[str, Any]]) -> int | None:
    """Records between the end of the batch and the end of the topics, over all Kafka sources; None without one."""
    lags = [_source_lag(source) for source in sources if "Kafka" in str(source.get("description"))]
    return sum(lags) if lags else None


def _source_lag(source: Mapping[str, Any]) -> int:
    read = _offsets(source.get("endOffset"))
    return sum(
        int(end) - read.get(topic, {}).get(partition, int(end))
        for topic, ends in _offsets(source.get("latestOffset")).items()
        for partition, end in ends.items()
    )


def _records(source: Mapping[str, Any], starts: Starts) -> int:
    """The offsets that a batch has read of a source."""
    before, count = _offsets(source.get("startOffset")), 0
    for topic, ends in _offsets(source.get("endOffset")).items():
        first = before.get(topic) or {str(number): start for number, (start, _) in starts(topic).items()}
        count += sum(int(end) - int(first.get(partition, 0)) for partition, end in ends.items())
    return count


def _offsets(offsets: Any) -> dict[str, dict[str, int]]:
    """Offsets by topic and partition; Spark reports them as an object or as its JSON text."""
    parsed = json.loads(offsets) if isinstance(offsets, str) else offsets
    return cast("dict[str, dict[str, int]]", parsed) if isinstance(parsed, dict) else {}
