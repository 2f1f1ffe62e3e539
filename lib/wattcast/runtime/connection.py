"""The settings with the address of a broker."""

import sys

from wattcast.settings import Settings


def connected(current: Settings) -> Settings:
    """The settings with the address of a broker: theirs, or that of the embedded stack if it runs."""
    if current.kafka.bootstrap_servers:
        return current
    from wattcast.embedded.stack import running_broker

    servers = running_broker(current.state)
    if servers is None:
        sys.exit(
            "No Kafka broker is configured. Start the embedded one with `wattcast up`, or set "
            "WATTCAST_KAFKA__BOOTSTRAP_SERVERS."
        )
    return current.with_changes(kafka={"bootstrap_servers": servers})
