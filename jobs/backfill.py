"""Backfill: hours computed again and forecasts issued for past origins."""

import sys
from collections.abc import Sequence

from wattcast.backfill import backfill, backfill_options
from wattcast.errors import exit_on_user_error
from wattcast.logs import configure_logging
from wattcast.runtime.context import opened
from wattcast_models.registry.champions import ChampionSource


@exit_on_user_error()
def main(argv: Sequence[str] | None = None) -> None:
    request = backfill_options(argv)
    configure_logging()
    with opened(name="backfill", with_broker=False) as run:
        champions = ChampionSource.configured(**run.settings.champions)
        hours, forecasts = backfill(run, request, champions.current)
        has_readings = bool(hours or run.lake.table("received_readings").head(1))
    print(f"{request.span.purpose}: {hours} hours and {forecasts} forecasts added. Next: wattcast run score --once")
    if not has_readings:
        print("The lake has no readings yet: `wattcast run ingest` receives them.", file=sys.stderr)


if __name__ == "__main__":
    main()
