"""Backfill: hours computed again and forecasts issued for past origins, with the data available then or with hindsight.

Rows that exist are not written again, so a backfill can be repeated and resumed. Its forecasts stay in the table under their own
purpose; they are not sent to the topic.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.forecast.context import ModelOf
from wattcast.forecast.origins import LIVE, OriginSpan
from wattcast.forecast.pending import pending_forecasts
from wattcast.hourly.pending import pending_revisions
from wattcast.hourly.selection import Touched
from wattcast.lake.tables import Snapshot
from wattcast.progress import progress
from wattcast.runtime.context import Run
from wattcast.times import HOUR, naive_hour

FORECASTS_PER_APPEND, MAX_DAYS_PER_APPEND = 20_000, 7  # live jobs wait for an append that is running


@dataclass(frozen=True)
class Backfill:
    """What a backfill computes: an empty `buildings` means all."""

    span: OriginSpan
    buildings: Sequence[str] = ()


def backfill(run: Run, request: Backfill, model_of: Callable[[], ModelOf]) -> tuple[int, int]:
    """Append the hours and the forecasts that the span lacks; returns how many of each. `model_of` is called for each part.

    The span is cut into parts, between which jobs that write the same tables get their turn.
    """
    count = len(request.buildings) or run.lake.table("buildings").count() or 1
    days = min(max(1, FORECASTS_PER_APPEND // (24 * count)), MAX_DAYS_PER_APPEND)
    spans = list(_parts(request.span, timedelta(days=days)))
    hours = forecasts = 0
    with progress(f"backfill {request.span.purpose}", total=len(spans)) as update:
        for done, span in enumerate(spans, start=1):
            hours += _append_hours(run, span, request.buildings)
            forecasts += _append_forecasts(run, span, request.buildings, model_of())
            update(done, f"{hours:,} hours and {forecasts:,} forecasts added")
    return hours, forecasts


def backfill_options(argv: Sequence[str] | None) -> Backfill:
    """The backfill that the command line describes; exits 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="wattcast run backfill", description="Compute hours again and issue forecasts for past origins"
    )
    parser.add_argument(
        "--from", dest="first", type=naive_hour, required=True, help="first origin (ISO 8601, on the hour)"
    )
    parser.add_argument("--to", dest="end", type=naive_hour, required=True, help="end of the origins, not included")
    parser.add_argument(
        "--buildings",
        type=lambda text: text.split(","),
        default=[],
        help="building ids, separated by commas; default: all",
    )
    parser.add_argument(
        "--hindsight",
        action="store_true",
        help="use all data available today, not only the data available at the origin",
    )
    parser.add_argument("--purpose", help="id of the backfill; default: derived from the span")
    options = parser.parse_args(argv)
    if options.first >= options.end:
        parser.error("--from must lie before --to")
    if options.purpose == LIVE:
        parser.error("the purpose live is reserved for the forecast job")
    kind = "hindsight" if options.hindsight else "backfill"
    purpose = options.purpose or f"{kind}-{options.first:%Y%m%dT%H}-{options.end:%Y%m%dT%H}"
    return Backfill(OriginSpan(options.first, options.end - HOUR, purpose, options.hindsight), options.buildings)


def _append_hours(run: Run, span: OriginSpan, buildings: Sequence[str]) -> int:
    is_in_span = (F.col("measured_at") >= F.lit(span.first)) & (F.col("measured_at") < F.lit(span.last + HOUR))
    readings = run.lake.snapshot("received_readings").frame.where(is_in_span)
    if buildings:
        readings = readings.where(F.col("building_id").isin(*buildings))
    touched = Touched.by(readings)
    return run.lake.append("hourly_usage", lambda existing: pending_revisions(run, touched, existing))


def _append_forecasts(run: Run, span: OriginSpan, buildings: Sequence[str], model_of: ModelOf) -> int:
    def pending(existing: Snapshot) -> DataFrame | None:
        return pending_forecasts(run, existing, model_of, span, buildings)

    return run.lake.append("forecasts", pending)


def _parts(span: OriginSpan, length: timedelta) -> Iterator[OriginSpan]:
    start = span.first
    while start <= span.last:
        yield OriginSpan(start, min(start + length - HOUR, span.last), span.purpose, span.hindsight)
        start += length
