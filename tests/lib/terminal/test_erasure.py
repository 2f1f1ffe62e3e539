"""The report of an erasure says what is gone, and what the topics still have."""

from wattcast.ingest.erasure import ErasedTopic, Erasure
from wattcast.lake.erasure import ErasedTable
from wattcast.terminal.erasure import erasure_sentences

DAY_MS = 24 * 3600 * 1000


def sentences(*topics: ErasedTopic, rows: int = 1) -> list[str]:
    return list(erasure_sentences(Erasure([ErasedTable("forecasts", rows, 0)], list(topics)), "b[1]"))


def test_each_topic_is_said_to_keep_or_to_delete_its_older_messages() -> None:
    assert sentences(
        ErasedTopic("readings", 0, "delete", -1), ErasedTopic("forecasts", 3, "delete", 7 * DAY_MS),
        ErasedTopic("alerts", 6, "compact,delete", DAY_MS), ErasedTopic("other", 0, None, None),
    ) == [
        "Nothing was sent to the topic readings; it keeps its older messages until you delete them (retention.ms is -1).",
        "3 messages without value were sent to the topic forecasts; it deletes its older messages after 7.0 days.",
        "6 messages without value were sent to the topic alerts; compaction deletes its older messages of the same keys.",
        "Nothing was sent to the topic other; it does not exist, or its configuration cannot be read.",
    ]  # fmt: skip


def test_a_building_without_rows_is_named() -> None:
    assert sentences(rows=0) == ["No table had rows of the building b[1]."]
