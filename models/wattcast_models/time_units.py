"""Lengths of time that the models count in."""

DAY_HOURS, WEEK_HOURS = 24, 168
HOUR_US = 3_600_000_000  # microseconds
