"""Benchmarks of the model and of the REST API."""
