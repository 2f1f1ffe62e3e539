"""The REST API: the Delta tables over HTTP, by delta-rs, without Spark and without torch."""
