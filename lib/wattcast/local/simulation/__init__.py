"""Simulated buildings: usage that follows weather, occupancy and calendar, and meters that fail at known rates."""
