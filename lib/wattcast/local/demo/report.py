"""The end of the demo: what was sent against what came of it, the audit, a chart, and what to try next."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from wattcast.audit import PartitionAudit
from wattcast.job import Run
from wattcast.local.demo.chart import write_chart
from wattcast.local.replay.counts import ReplayCounts
from wattcast.report import audit_table
from wattcast.terminal import plain

CHARTED = 4
ERRORS = """
    WITH actual AS (SELECT building_id, hour, energy_usage_kwh AS kwh FROM hourly_usage_latest WHERE coalesce(coverage, 1) = 1)
    SELECT mean(abs(f.p50_kwh - a.kwh)) AS error, mean(abs(w.kwh - a.kwh)) AS naive, mean(a.kwh) AS load,
           mean(CAST(a.kwh BETWEEN f.p10_kwh AND f.p90_kwh AS DOUBLE)) AS covered, count(*) AS hours
    FROM forecast_hours f
    JOIN actual a ON a.building_id = f.building_id AND a.hour = f.target_hour
    JOIN actual w ON w.building_id = f.building_id AND w.hour = f.target_hour - INTERVAL 168 HOURS
    WHERE f.purpose = 'live' AND f.method = 'model' AND f.lead_hours <= 24"""
BANDS = """
    SELECT f.building_id, f.target_hour, f.p10_kwh, f.p50_kwh, f.p90_kwh, a.energy_usage_kwh
    FROM forecast_hours f LEFT JOIN hourly_usage_latest a ON a.building_id = f.building_id AND a.hour = f.target_hour
    WHERE f.purpose = 'live' AND f.lead_hours <= 24 AND hour(f.origin) = 0
      AND f.origin >= (SELECT max(origin) FROM forecasts) - INTERVAL 14 DAYS
      AND f.building_id IN (SELECT DISTINCT building_id FROM forecasts ORDER BY building_id LIMIT {buildings})"""


@dataclass(frozen=True)
class Outcome:
    """What the demo saw: `consumed` are the forecast messages, `seconds` the time of all."""

    counts: ReplayCounts
    audited: list[PartitionAudit]
    consumed: list[dict[str, Any]]
    first_forecast_seconds: float | None
    seconds: float


def print_report(console: Console, run: Run, outcome: Outcome, state: Path) -> int:
    """Print it; 0 if everything is as it must be."""
    run.lake.register_views()
    counted = run.spark.sql("SELECT count(*) AS n, count_if(accepted) AS accepted FROM received_readings").first()
    rules = run.spark.sql(
        "SELECT rule, count(*) AS n FROM (SELECT explode(rejected_for) AS rule FROM received_readings) GROUP BY rule"
    )
    rejected = {row.rule: row.n for row in rules.collect()}
    accepted = 0 if counted is None else counted.accepted
    total = 0 if counted is None else counted.n
    console.print(_counts(outcome, total, accepted, rejected))
    console.print(_results(run, outcome))
    console.print(audit_table(outcome.audited))
    problems = list(_problems(outcome, total, accepted, rejected))
    _chart(run, state / "forecasts.html")
    console.print(f"Chart of forecast bands over actual use: {state / 'forecasts.html'}", soft_wrap=True, markup=False)
    console.print("\n[bold]Try next[/bold] (the demo's tables stay until the next demo):", highlight=False)
    for command in (
        'sql "SELECT * FROM forecast_hours ORDER BY origin DESC, building_id, lead_hours" --rows 24',
        'sql "SELECT rejected_for, payload FROM rejected_readings" --rows 10',
        f"run backfill --from {_day(outcome, 3)} --to {_day(outcome, 1)}",
        "serve  # API and dashboard, at http://127.0.0.1:8080/",
    ):
        console.print(f"  .venv/bin/wattcast --state {state} {command}", soft_wrap=True, highlight=False, markup=False)
    for problem in problems:
        console.print(f"[bold red]FAILED[/bold red]: {escape(problem)}")
    if not problems:
        console.print(
            f"[bold green]All {total:,} records are accounted for[/bold green] ({outcome.seconds:.0f} s in all)."
        )
    return 1 if problems else 0


def _problems(outcome: Outcome, total: int, accepted: int, rejected: dict[str, int]) -> "list[str]":
    counts = outcome.counts
    ids = [message["forecast_id"] for message in outcome.consumed]
    found = {
        f"{counts.sent:,} records were sent and {total:,} received": counts.sent != total,
        f"{counts.expected_accepted:,} records had to be accepted and {accepted:,} were": counts.expected_accepted
        != accepted,
        f"the rules had to reject {dict(counts.expected_rejected)} and rejected {rejected}": dict(
            counts.expected_rejected
        )
        != rejected,
        "the audit found losses, doubles or wrong verdicts": not all(each.is_clean for each in outcome.audited),
        "no forecast came": not ids,
        f"{len(ids) - len(set(ids))} forecasts came twice": len(ids) != len(set(ids)),
    }
    return [text for text, holds in found.items() if holds]


def _counts(outcome: Outcome, total: int, accepted: int, rejected: dict[str, int]) -> Table:
    counts = outcome.counts
    table = Table("records", "injected", "found", title="What was sent, and what became of it")
    table.add_row("all", f"{counts.sent:,}", f"{total:,}")
    table.add_row("accepted", f"{counts.expected_accepted:,}", f"{accepted:,}")
    for rule in sorted(counts.expected_rejected | rejected):
        table.add_row(
            plain(f"rejected: {rule}"), f"{counts.expected_rejected.get(rule, 0):,}", f"{rejected.get(rule, 0):,}"
        )
    for kind in ("disordered", "delayed", "duplicated", "corrected"):
        table.add_row(f"of the accepted: {kind}", f"{getattr(counts, kind):,}", "")
    return table


def _results(run: Run, outcome: Outcome) -> Table:
    hours = run.spark.sql("SELECT count(*) AS n, count_if(revision > 1) AS corrected FROM hourly_usage").first()
    forecasts = run.spark.sql("SELECT method, count(*) AS n FROM forecasts GROUP BY method ORDER BY n DESC").collect()
    errors = run.spark.sql(ERRORS).first()
    table = Table("what came out", "", title="Hours and forecasts")
    if hours is not None:
        table.add_row("hourly revisions (of which corrections)", f"{hours.n:,} ({hours.corrected:,})")
    for row in forecasts:
        table.add_row(f"forecasts by {row.method}", f"{row.n:,}")
    table.add_row("forecasts consumed from Kafka", f"{len(outcome.consumed):,}")
    if outcome.first_forecast_seconds is not None:
        table.add_row("first forecast consumed after", f"{outcome.first_forecast_seconds:.0f} s")
    if errors is not None and errors.hours:
        table.add_row("mean absolute error, % of mean load", f"{100 * errors.error / errors.load:.1f}")
        table.add_row("the same for same hour last week", f"{100 * errors.naive / errors.load:.1f}")
        table.add_row("hours inside P10-P90 (80 % wanted)", f"{100 * errors.covered:.0f} %")
    return table


def _chart(run: Run, file: Path) -> None:
    rows = run.spark.sql(BANDS.format(buildings=CHARTED)).toPandas()
    if len(rows):
        write_chart(file, {str(name): each for name, each in rows.groupby("building_id")})


def _day(outcome: Outcome, before: int) -> str:
    from datetime import timedelta

    last = outcome.counts.last_measured_at
    return f"{(last - timedelta(days=before)):%Y-%m-%d}" if last else "2026-03-01"
