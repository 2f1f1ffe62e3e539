"""The command `doctor`."""

import json
import sys
from typing import Annotated

import typer

from wattcast.errors import FAILED, refuse


def doctor(
    lake: Annotated[bool, typer.Option("--lake", help="Check the tables and the checkpoints of the lake.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check whether what is stored is whole.

    It reads only, needs no Java, and says for each fault how to restore it; exit 1 if there is one.
    """
    if not lake:
        refuse("Say what to check: wattcast doctor --lake.")
    from wattcast.lake.doctor import check_lake
    from wattcast.lake.reader import TableUnreadable
    from wattcast.settings import settings
    from wattcast.terminal.console import show
    from wattcast.terminal.doctor import lake_json, lake_table

    try:
        checkup = check_lake(settings().lake_uri, settings().checkpoints_uri)
    except TableUnreadable as error:
        refuse(str(error))
    print(json.dumps(lake_json(checkup), indent=2)) if as_json else show(lake_table(checkup))
    sys.exit(0 if checkup.is_sound else FAILED)
