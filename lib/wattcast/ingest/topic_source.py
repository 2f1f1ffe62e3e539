"""The topic that a ledger was read from, which is kept as a property of its table."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True)
class TopicSource:
    """The id of a topic, None where the broker has none, and by partition the first offset that could be read."""

    id: str | None
    starts: dict[int, int]

    @classmethod
    def of(cls, properties: Mapping[str, str], topic: str) -> Self | None:
        """The topic by the properties of its ledger; None if it was not read yet, or by an earlier release only."""
        text = properties.get(property_name(topic))
        if text is None:
            return None
        stored = json.loads(text)
        return cls(stored["id"], {int(partition): start for partition, start in stored["starts"].items()})

    @property
    def as_property(self) -> str:
        return json.dumps(asdict(self))

    def is_other(self, id: str | None) -> bool:
        """Whether a topic with this id is another one."""
        return None not in (self.id, id) and self.id != id


def property_name(topic: str) -> str:
    return f"wattcast.topic.{topic}"
