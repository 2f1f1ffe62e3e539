"""The report of an erasure, for the terminal."""

from collections.abc import Iterator

from rich.table import Table

from wattcast.ingest.erasure import ErasedTopic, Erasure
from wattcast.terminal.console import plain

DAY_MS = 24 * 3600 * 1000


def erasure_table(erasure: Erasure) -> Table:
    """A row per table: the deleted rows, and the payloads that were removed from rejected records."""
    table = Table("table", title="Erased")
    for name in ("rows", "payloads"):
        table.add_column(name, justify="right")
    for erased in erasure.tables:
        table.add_row(erased.table, f"{erased.rows:,}", f"{erased.payloads:,}")
    return table


def erasure_sentences(erasure: Erasure, building_id: str) -> Iterator[str]:
    """What the user should know besides the numbers: what the topics still have, and a building that no table had."""
    if not any(erased.rows or erased.payloads for erased in erasure.tables):
        yield f"No table had rows of the building {plain(building_id)}."
    yield from (_topic_sentence(topic) for topic in erasure.topics)


def _topic_sentence(topic: ErasedTopic) -> str:
    sent = f"{topic.sent:,} messages without value were sent to the topic {topic.topic}"
    return f"{sent if topic.sent else f'Nothing was sent to the topic {topic.topic}'}; {_kept(topic)}."


def _kept(topic: ErasedTopic) -> str:
    if topic.policy is None:
        return "it does not exist, or its configuration cannot be read"
    if "compact" in topic.policy:
        return "compaction deletes its older messages of the same keys"
    if topic.retention_ms is None or topic.retention_ms < 0:
        return "it keeps its older messages until you delete them (retention.ms is -1)"
    return f"it deletes its older messages after {topic.retention_ms / DAY_MS:,.1f} days"
