"""Recorded readings sent to Kafka as they would have arrived, with injected faults that are counted."""
