"""The quality flags of an hour, in the column `quality_flags` of hourly_usage."""

from pyspark.sql import Column
from pyspark.sql import functions as F

PARTIAL = "partial"  # readings are missing
INTERVAL_UNKNOWN = "interval_unknown"  # the reading interval is unknown, so whether readings are missing is, too
SURPLUS = "surplus"  # more readings than expected
CAPPED = "capped"  # a device has sent as many readings as are used of one hour, or more
IMPLAUSIBLE = "implausible"  # more than MAX_PLAUSIBLE_KWH

MAX_PLAUSIBLE_KWH = 1e6  # in an hour of a building: what the contract allows one reading to say


UNUSABLE = (
    CAPPED,
    IMPLAUSIBLE,
)  # the energy of an hour with one of these flags is not used, although the hour is complete


def is_usable() -> Column:
    """Whether an hour of `hourly_usage` has no flag of UNUSABLE."""
    return ~F.arrays_overlap("quality_flags", F.array(*map(F.lit, UNUSABLE)))


def usable_energy() -> Column:
    """The energy of an hour of `hourly_usage` as forecasts, scores and trainings use it: null where the hour is known to be
    incomplete, or has a flag of UNUSABLE."""
    is_complete = F.coalesce(F.col("coverage"), F.lit(1.0)) >= 1
    return F.when(is_complete & is_usable(), F.col("energy_usage_kwh"))
