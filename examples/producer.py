"""Send a meter reading to Wattcast: python producer.py localhost:9092"""

import json
import sys
from datetime import UTC, datetime

from kafka import KafkaProducer


def send(reading: dict, servers: str, topic: str = "readings") -> None:
    """Return when Kafka has stored the reading. The key is the building, so that its readings stay in order."""
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    key, value = reading["building_id"].encode(), json.dumps(reading).encode()
    producer.send(topic, key=key, value=value).get(timeout=30)
    producer.close()


if __name__ == "__main__":
    now = datetime.now(UTC).isoformat()
    send({"building_id": "town-hall", "measured_at": now, "energy_usage_kwh": 12.5, "occupancy": 40}, *sys.argv[1:])
