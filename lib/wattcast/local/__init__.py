"""The embedded stack of one laptop: a real Kafka broker, readings to feed it, and the demo."""
