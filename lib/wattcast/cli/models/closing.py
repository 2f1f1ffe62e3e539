"""The closing rules of the settings, for commands that read `hourly_usage` as forecasts knew it."""

from wattcast.settings import settings
from wattcast_models.data.closing import ClosingRules


def closing_rules() -> ClosingRules:
    """The settings `closing` that contexts of forecasts depend on."""
    return ClosingRules(**settings().closing_rules)
