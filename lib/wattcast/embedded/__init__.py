"""The embedded stack that stands in for a Kafka service: one real KRaft broker, its jars, and a check of Python and Java."""
