"""The quality flags of an hour, in the column `quality_flags` of hourly_usage."""

from pyspark.sql import Column
from pyspark.sql import functions as F

PARTIAL = "partial"  # readings are missing
INTERVAL_UNKNOWN = "interval_unknown"  # the reading interval is unknown, so whether readings are missing is, too
SURPLUS = "surplus"  # more readings than expected
CAPPED = "capped"  # a device has sent as many readings as are used of one hour, or more
IMPLAUSIBLE = "implausible"  # more than MAX_PLAUSIBLE_KWH

MAX_PLAUSIBLE_KWH = 1e6  # in an hour of a building: what the contract allows one reading to say


def is_usable() -> Column:
    """Whether forecasts use the energy of a complete hour: it is neither capped nor implausible."""
    return ~F.arrays_overlap("quality_flags", F.array(F.lit(CAPPED), F.lit(IMPLAUSIBLE)))
