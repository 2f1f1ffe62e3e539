"""When hours close, as the settings say."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from wattcast.setting_sections import ClosingSettings
from wattcast.times import HOUR


@dataclass(frozen=True)
class ClosingRules:
    """When hours close, and `future_tolerance`: how far a reading may be stamped after its own arrival. A reading stamped
    later is rejected, so that an accepted reading arrives at most this long before its timestamp. Of the readings of one device
    in one hour the first `max_readings` are used, so that a device with a stopped clock costs a bounded amount."""

    grace: timedelta
    max_wait: timedelta
    idle_partition: timedelta
    future_tolerance: timedelta
    max_readings: int

    @classmethod
    def from_settings(cls, settings: ClosingSettings, *, future_tolerance: timedelta) -> Self:
        return cls(
            grace=timedelta(minutes=settings.grace_minutes),
            max_wait=timedelta(minutes=settings.max_wait_minutes),
            idle_partition=timedelta(minutes=settings.idle_partition_minutes),
            future_tolerance=future_tolerance,
            max_readings=settings.max_readings_per_device_hour,
        )

    def recent_from(self, since: datetime) -> datetime:
        """The arrival from which on a reading can belong to an hour that closes after `since`."""
        longest_open = max(self.max_wait + HOUR + self.future_tolerance, self.grace)
        return since - longest_open - self.future_tolerance
