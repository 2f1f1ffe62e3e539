"""Print every forecast of Wattcast once: python consumer.py localhost:9092"""

import json
import sys
from collections.abc import Iterable, Iterator

from kafka import KafkaConsumer


def unique_forecasts(messages: Iterable, remember: int = 100_000) -> Iterator[dict]:
    """The forecasts without repeats: Kafka may deliver one again, with the same forecast_id."""
    seen: dict[str, None] = {}
    for message in messages:
        forecast = json.loads(message.value or "null")  # without value: the building of the key was erased
        if forecast and forecast["forecast_id"] not in seen:
            seen[forecast["forecast_id"]] = None
            if len(seen) > remember:
                del seen[next(iter(seen))]  # the oldest
            yield forecast


if __name__ == "__main__":
    servers, topic = (*sys.argv[1:], "forecasts")[:2]
    for row in unique_forecasts(KafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest")):
        print(row["building_id"], row["target_hour"][0], row["p50_kwh"][0], row["method"], row["warnings"])
