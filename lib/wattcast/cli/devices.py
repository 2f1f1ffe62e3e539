"""The command `devices`."""

import json
from typing import Annotated

import typer

from wattcast.errors import refuse


def devices(
    building: Annotated[str, typer.Option(help="Id of a building. Default: all.")] = "",
    state: Annotated[str, typer.Option(help="Show one state: silent, rejected, stuck, noisy, late or ok.")] = "",
    as_of: Annotated[
        str,
        typer.Option(
            help="Time of the status (ISO 8601, UTC). Default: now; with replayed readings, the newest arrival."
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the state of each metering device.

    When it sent its last reading, the gaps in its readings, and why readings were rejected.
    """
    from wattcast.monitoring.measures.device_status import STATES
    from wattcast.terminal.console import show
    from wattcast.terminal.devices import current_statuses, devices_json, devices_table

    if state and state not in STATES:
        refuse(f"There is no state {state}: choose from {', '.join(STATES)}.")
    statuses = current_statuses(building, as_of)
    selected = [device for device in statuses.items if not state or device.state == state]
    if as_json:
        print(json.dumps(devices_json(statuses, selected), indent=2))
    else:
        show(devices_table(statuses, selected))
