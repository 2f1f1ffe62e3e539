"""Kafka records become rows, accepted or rejected with reasons; the audit verifies that no record is missing."""
