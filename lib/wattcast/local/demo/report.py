"""The report of the demo: records sent against records received, the audit, a chart, and commands to try next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wattcast.ingest.audit import PartitionAudit
from wattcast.lake.views import register_views
from wattcast.local.demo.chart import write_chart
from wattcast.local.replay.counts import ReplayCounts
from wattcast.runtime.context import Run
from wattcast.terminal.console import plain
from wattcast.terminal.tables import audit_table

CHARTED_BUILDINGS = 4
ERRORS_SQL = """
    WITH actual AS (SELECT building_id, hour, energy_usage_kwh AS kwh FROM hourly_usage_latest WHERE coalesce(coverage, 1) = 1)
    SELECT mean(abs(f.p50_kwh - a.kwh)) AS error, mean(abs(w.kwh - a.kwh)) AS naive, mean(a.kwh) AS load,
           mean(CAST(a.kwh BETWEEN f.p10_kwh AND f.p90_kwh AS DOUBLE)) AS covered, count(*) AS hours
    FROM forecast_hours f
    JOIN actual a ON a.building_id = f.building_id AND a.hour = f.target_hour
    JOIN actual w ON w.building_id = f.building_id AND w.hour = f.target_hour - INTERVAL 168 HOURS
    WHERE f.purpose = 'live' AND f.method = 'model' AND f.lead_hours <= 24"""
BANDS_SQL = """
    SELECT f.building_id, f.target_hour, f.p10_kwh, f.p50_kwh, f.p90_kwh, a.energy_usage_kwh
    FROM forecast_hours f LEFT JOIN hourly_usage_latest a ON a.building_id = f.building_id AND a.hour = f.target_hour
    WHERE f.purpose = 'live' AND f.lead_hours <= 24 AND hour(f.origin) = 0
      AND f.origin >= (SELECT max(origin) FROM forecasts) - INTERVAL 14 DAYS
      AND f.building_id IN (SELECT DISTINCT building_id FROM forecasts ORDER BY building_id LIMIT {buildings})"""


NEXT_COMMANDS = (
    'sql "SELECT * FROM forecast_hours ORDER BY origin DESC, building_id, lead_hours" --rows 24',
    'sql "SELECT rejected_for, payload FROM rejected_readings" --rows 10',
    "run backfill --from {third_last_day} --to {last_day}",
    "serve  # API and dashboard, at http://127.0.0.1:8080/",
)


@dataclass(frozen=True)
class Outcome:
    """What the demo measured: `consumed` are the forecast messages, `seconds` the duration of the whole demo."""

    counts: ReplayCounts
    partitions: list[PartitionAudit]
    consumed: list[dict[str, Any]]
    first_forecast_seconds: float | None
    seconds: float


@dataclass(frozen=True)
class ReceivedRecords:
    """What the table `received_readings` holds: all records, the accepted ones, and the rejected ones by rule."""

    total: int
    accepted: int
    rejected: Mapping[str, int]


def print_report(console: Console, run: Run, outcome: Outcome, state: Path) -> int:
    """Print the report; the exit status is 0 if everything is as expected, else 1."""
    register_views(run.lake)
    received = received_records(run)
    console.print(_counts_table(outcome.counts, received))
    console.print(_results_table(run, outcome))
    console.print(audit_table(outcome.partitions))
    problems = _problems(outcome, received)
    _write_chart(run, state / "forecasts.html")
    console.print(f"Chart of forecast bands over actual use: {state / 'forecasts.html'}", soft_wrap=True, markup=False)
    _print_next_commands(console, outcome, state)
    for problem in problems:
        console.print(f"[bold red]FAILED[/bold red]: {escape(problem)}")
    if not problems:
        text = f"[bold green]All {received.total:,} records are accounted for[/bold green] ({outcome.seconds:.0f} s in all)."
        console.print(text)
    return 1 if problems else 0


def received_records(run: Run) -> ReceivedRecords:
    counts = run.spark.sql("SELECT count(*) AS total, count_if(accepted) AS accepted FROM received_readings").first()
    by_rule = run.spark.sql(
        "SELECT rule, count(*) AS records FROM (SELECT explode(rejected_for) AS rule FROM received_readings) GROUP BY rule"
    )
    rejected = {row.rule: row.records for row in by_rule.collect()}
    return (
        ReceivedRecords(0, 0, rejected) if counts is None else ReceivedRecords(counts.total, counts.accepted, rejected)
    )


def _print_next_commands(console: Console, outcome: Outcome, state: Path) -> None:
    last = outcome.counts.last_measured_at
    days = {
        name: f"{(last - timedelta(days=before)):%Y-%m-%d}" if last else "2026-03-01"
        for name, before in (("third_last_day", 3), ("last_day", 1))
    }
    console.print("\n[bold]Try next[/bold] (the demo's tables stay until the next demo):", highlight=False)
    for command in NEXT_COMMANDS:
        text = f"  .venv/bin/wattcast --state {state} {command.format(**days)}"
        console.print(text, soft_wrap=True, highlight=False, markup=False)


def _problems(outcome: Outcome, received: ReceivedRecords) -> list[str]:
    """A sentence for each difference from what the replay must lead to."""
    counts = outcome.counts
    expected_rejected, rejected = dict(counts.expected_rejected), dict(received.rejected)
    ids = [message["forecast_id"] for message in outcome.consumed]
    problems = {
        f"{counts.sent:,} records were sent, but {received.total:,} were received": counts.sent != received.total,
        f"{counts.expected_accepted:,} records should be accepted, but {received.accepted:,} were": counts.expected_accepted
        != received.accepted,
        f"records should be rejected by {expected_rejected}, but were by {rejected}": expected_rejected != rejected,
        "the audit found lost, duplicated or wrongly validated records": not all(
            partition.is_clean for partition in outcome.partitions
        ),
        "no forecast was received": not ids,
        f"{len(ids) - len(set(ids))} forecasts were received twice": len(ids) != len(set(ids)),
    }
    return [text for text, is_true in problems.items() if is_true]


def _counts_table(counts: ReplayCounts, received: ReceivedRecords) -> Table:
    table = Table("records", "sent", "received", title="Records sent and received")
    table.add_row("all", f"{counts.sent:,}", f"{received.total:,}")
    table.add_row("accepted", f"{counts.expected_accepted:,}", f"{received.accepted:,}")
    for rule in sorted(counts.expected_rejected | dict(received.rejected)):
        expected, rejected = counts.expected_rejected.get(rule, 0), received.rejected.get(rule, 0)
        table.add_row(plain(f"rejected: {rule}"), f"{expected:,}", f"{rejected:,}")
    for kind in ("disordered", "delayed", "duplicated", "corrected"):
        table.add_row(f"of the accepted: {kind}", f"{getattr(counts, kind):,}", "")
    return table


def _results_table(run: Run, outcome: Outcome) -> Table:
    hours = run.spark.sql("SELECT count(*) AS total, count_if(revision > 1) AS corrected FROM hourly_usage").first()
    methods = run.spark.sql("SELECT method, count(*) AS total FROM forecasts GROUP BY method ORDER BY total DESC")
    errors = run.spark.sql(ERRORS_SQL).first()
    table = Table("result", "", title="Hours and forecasts")
    if hours is not None:
        table.add_row("hourly revisions (of which corrections)", f"{hours.total:,} ({hours.corrected:,})")
    for row in methods.collect():
        table.add_row(f"forecasts by {row.method}", f"{row.total:,}")
    table.add_row("forecasts consumed from Kafka", f"{len(outcome.consumed):,}")
    if outcome.first_forecast_seconds is not None:
        table.add_row("first forecast consumed after", f"{outcome.first_forecast_seconds:.0f} s")
    if errors is not None and errors.hours:
        table.add_row("mean absolute error, % of mean load", f"{100 * errors.error / errors.load:.1f}")
        table.add_row("the same for same hour last week", f"{100 * errors.naive / errors.load:.1f}")
        table.add_row("hours inside P10-P90 (expected: 80 %)", f"{100 * errors.covered:.0f} %")
    return table


def _write_chart(run: Run, file: Path) -> None:
    rows = run.spark.sql(BANDS_SQL.format(buildings=CHARTED_BUILDINGS)).toPandas()
    if len(rows):
        write_chart(file, {str(building): of_building for building, of_building in rows.groupby("building_id")})
