"""Print each forecast of Wattcast once: python consumer.py localhost:9092"""

import json
import sys
from collections.abc import Iterable, Iterator

from kafka import KafkaConsumer


def once_each(messages: Iterable, remember: int = 100_000) -> Iterator[dict]:
    """Kafka may deliver a forecast again; a repeat has the forecast_id of the first."""
    seen: dict[str, None] = {}
    for message in messages:
        forecast = json.loads(message.value)
        if forecast["forecast_id"] not in seen:
            seen[forecast["forecast_id"]] = None
            if len(seen) > remember:
                del seen[next(iter(seen))]  # the oldest
            yield forecast


if __name__ == "__main__":
    servers, topic = (*sys.argv[1:], "forecasts")[:2]
    for each in once_each(KafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest")):
        print(each["building_id"], each["target_hour"][0], each["p50_kwh"][0], each["method"], each["warnings"])
