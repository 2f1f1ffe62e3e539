"""Readings for one machine: replayed recordings, simulated buildings, and the demo."""
