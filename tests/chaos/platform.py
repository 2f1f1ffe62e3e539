"""The commands of a run of chaos, and the settings that they all have."""

import os
import sys
from pathlib import Path

GRACE_MINUTES, MAX_WAIT_MINUTES = 5, 180
LEAD_HOURS, CONTEXT_HOURS, HEARD_WITHIN_DAYS = 24, 24 * 56, 30
MAX_DAYS = 30  # of readings
CATCH_UP_HOURS = 24 * (MAX_DAYS + 10)  # so that the issue window begins before the first reading


class ChaosFailed(Exception):
    """The run of chaos cannot go on, so that nothing can be judged."""


def environment(state: Path) -> dict[str, str]:
    """The environment of all commands of the run: its state folder, and no settings of this shell."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WATTCAST_")}
    cache = {name: value for name, value in os.environ.items() if name == "WATTCAST_CACHE"}
    settings = {
        "BATCH__TRIGGER_SECONDS": 0.2,
        "BATCH__SCORING_SECONDS": 3600,  # scores are not judged
        "CLOSING__GRACE_MINUTES": GRACE_MINUTES,
        "CLOSING__MAX_WAIT_MINUTES": MAX_WAIT_MINUTES,
        "FORECASTING__LEAD_HOURS": LEAD_HOURS,
        "FORECASTING__CONTEXT_HOURS": CONTEXT_HOURS,
        "FORECASTING__HEARD_WITHIN_DAYS": HEARD_WITHIN_DAYS,
        "FORECASTING__CATCH_UP_HOURS": CATCH_UP_HOURS,
    }
    variables = {f"WATTCAST_{name}": str(value) for name, value in settings.items()}
    return inherited | cache | variables | {"WATTCAST_STATE": str(state)}


def command(*arguments: str) -> list[str]:
    """The command line of `wattcast` with these arguments."""
    return [sys.executable, "-m", "wattcast.cli", *arguments]
