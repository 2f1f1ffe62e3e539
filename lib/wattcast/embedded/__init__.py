"""The embedded stack that stands in for a Kafka service: one real KRaft broker, its jars, and what must be there first."""
