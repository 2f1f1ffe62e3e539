"""Backfill: hours recomputed and forecasts issued for past origins, as it was known then or with today's knowledge.

Rows that exist are not made again, so a backfill can be repeated and resumed. Its forecasts stay in the table under their own
purpose; none reaches the topic.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from pyspark.sql import functions as F
from rich.markup import escape
from rich.progress import Progress

from aggregate import missing_hours
from forecast import missing
from wattcast.errors import told
from wattcast.forecasting import LIVE, Span
from wattcast.hourly import hours_of
from wattcast.job import Run, configure_logging, opened
from wattcast.times import on_the_hour

FORECASTS_AT_ONCE, MOST_DAYS_AT_ONCE = 20_000, 7
HOUR = timedelta(hours=1)


def backfill(run: Run, span: Span, buildings: Sequence[str] = ()) -> tuple[int, int]:
    """Append the hours and the forecasts that the span lacks; returns how many of each.

    That is done in parts: jobs that append to the same tables wait for the part in hand.
    """
    count = len(buildings) or run.lake.table("buildings").count() or 1
    days = min(max(1, FORECASTS_AT_ONCE // (24 * count)), MOST_DAYS_AT_ONCE)
    chunks = list(_chunks(span, timedelta(days=days)))
    hours = forecasts = 0
    with Progress() as progress:
        for chunk in progress.track(chunks, description=escape(f"backfill {span.purpose}")):
            hours += _hours(run, chunk, buildings)
            forecasts += run.lake.append("forecasts", partial(missing, run, span=chunk, buildings=buildings))
    return hours, forecasts


def _hours(run: Run, chunk: Span, buildings: Sequence[str]) -> int:
    is_in = (F.col("measured_at") >= F.lit(chunk.first)) & (F.col("measured_at") < F.lit(chunk.last + HOUR))
    touched = hours_of(run.lake.snapshot("received_readings").frame.where(is_in))
    if buildings:
        touched = touched.where(F.col("building_id").isin(*buildings))
    return run.lake.append("hourly_usage", lambda existing: missing_hours(run, touched, existing))


def _chunks(span: Span, length: timedelta) -> Iterator[Span]:
    start = span.first
    while start <= span.last:
        yield Span(start, min(start + length - HOUR, span.last), span.purpose, span.hindsight)
        start += length


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="wattcast run backfill", description="Recompute hours and issue forecasts for past origins"
    )
    parser.add_argument(
        "--from", dest="first", type=_origin, required=True, help="first origin (ISO 8601, on the hour)"
    )
    parser.add_argument("--to", dest="end", type=_origin, required=True, help="end of the origins, itself not included")
    parser.add_argument(
        "--buildings", type=lambda text: text.split(","), default=[], help="ids with commas between; default: all"
    )
    parser.add_argument("--hindsight", action="store_true", help="use what is known today, not what was known then")
    parser.add_argument("--purpose", help="id of the backfill; default: made from the span")
    options = parser.parse_args(argv)
    if options.first >= options.end:
        parser.error("--from must lie before --to")
    if options.purpose == LIVE:
        parser.error("the purpose live is for the forecast job alone")
    return options


def _origin(text: str) -> datetime:
    """As naive UTC, as Spark gives times."""
    return on_the_hour(text).replace(tzinfo=None)


@told()
def main(argv: Sequence[str] | None = None) -> None:
    options = _options(argv)
    configure_logging()
    kind = "hindsight" if options.hindsight else "backfill"
    purpose = options.purpose or f"{kind}-{options.first:%Y%m%dT%H}-{options.end:%Y%m%dT%H}"
    with opened(name="backfill", with_broker=False) as run:
        hours, forecasts = backfill(
            run, Span(options.first, options.end - HOUR, purpose, options.hindsight), options.buildings
        )
        has_readings = bool(hours or run.lake.table("received_readings").head(1))
    print(f"{purpose}: {hours} hours and {forecasts} forecasts added")
    if not has_readings:
        print("The lake has no readings yet: `wattcast run ingest` receives them.", file=sys.stderr)


if __name__ == "__main__":
    main()
