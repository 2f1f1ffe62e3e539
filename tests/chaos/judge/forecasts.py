"""Judges `forecasts`: each wanted origin has one, made from the hours that were known when it was issued.

Which origins are wanted and when they are issued is under "Clocks" in docs/architecture.md; the warnings, and the medians of the
profiles, under "Fallbacks and warnings".
"""

from collections import defaultdict
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from tests.chaos.judge.evidence import Evidence, Row, Rules
from tests.chaos.judge.findings import Finding, differences, doubled, is_same, shown
from tests.chaos.judge.hours import HOUR, Revision

WEEK = 168
MIN_MODEL_HOURS, FLAT_HOURS, HOURS_PER_GAP = 72, 24, 20  # more than 5 % are missing
Hours = dict[datetime, list[Revision]]
History = dict[datetime, float | None]  # energy by hour; None for an hour that is partial


def forecast_findings(evidence: Evidence, revisions: list[Revision]) -> list[Finding]:
    """What differs between `forecasts` and the wanted forecasts, live ones and those of backfills."""
    by_building: dict[str, Hours] = defaultdict(lambda: defaultdict(list))
    for revision in revisions:
        by_building[revision.building_id][revision.hour].append(revision)
    wanted = wanted_forecasts(by_building, evidence.rules)
    metadata = {row["building_id"]: row for row in evidence.buildings}
    findings = doubled("forecast", ((row["forecast_id"],) for row in evidence.forecasts))
    findings += doubled("forecast", ((row["building_id"], row["origin"], row["purpose"]) for row in evidence.forecasts))
    live = {(row["building_id"], row["origin"]) for row in evidence.forecasts if row["purpose"] == "live"}
    findings += [Finding("lost", "forecast", shown(key)) for key in wanted if key not in live]
    for row in evidence.forecasts:
        key = row["building_id"], row["origin"]
        where = f"{row['purpose']} {shown(key)}"
        if key not in wanted:
            findings.append(Finding("wrong", "forecast", f"{where} must not exist"))
            continue
        building = metadata.get(row["building_id"])
        findings += _contents(row, where, wanted[key], by_building[row["building_id"]], building, evidence.rules)
    return findings


def wanted_forecasts(by_building: dict[str, Hours], rules: Rules) -> dict[tuple[str, datetime], datetime]:
    """By building and origin, when the forecast is issued.

    The last origin is the hour after the newest hour of all buildings or, if that is later, the newest that has waited
    `max_wait` for its data. The run must be set up so that the issue window begins before the first hour.
    """
    waited_until = (rules.close_at - rules.max_wait).replace(minute=0, second=0, microsecond=0)
    last = max(max(max(hours) for hours in by_building.values()) + HOUR, waited_until)
    wanted = {}
    for building_id, hours in by_building.items():
        origin = min(hours)
        while origin <= last:
            issued_at = _issued_at(origin, hours, rules)
            if issued_at is not None and _has_hours(origin, issued_at, hours, rules.heard_within):
                wanted[building_id, origin] = issued_at
            origin += HOUR
    return wanted


def _issued_at(origin: datetime, hours: Hours, rules: Rules) -> datetime | None:
    """The earlier of the closing of the hour before and origin + max_wait; None if neither has come by the end."""
    waited = origin + rules.max_wait
    if origin - HOUR in hours:
        return min(waited, hours[origin - HOUR][0].available_at)
    return waited if waited <= rules.close_at else None


def _has_hours(origin: datetime, issued_at: datetime, hours: Hours, heard_within: timedelta) -> bool:
    """Whether at `issued_at` an hour of the last days before the origin was known."""
    return any(
        origin - heard_within <= hour < origin and revisions[0].available_at <= issued_at
        for hour, revisions in hours.items()
    )


def known_history(origin: datetime, issued_at: datetime, hours: Hours, context_hours: int) -> History:
    """The energy of each hour before the origin by the newest revision that was available at `issued_at`."""
    history: History = {}
    for hour, revisions in sorted(hours.items()):
        known = [revision for revision in revisions if revision.available_at <= issued_at]
        if known and origin - context_hours * HOUR <= hour < origin:
            coverage = known[-1].values.coverage
            history[hour] = known[-1].values.energy_usage_kwh if coverage is None or coverage >= 1 else None
    return history


def _contents(
    row: Row, where: str, issued_at: datetime, hours: Hours, building: Row | None, rules: Rules
) -> list[Finding]:
    origin = row["origin"]
    history = known_history(origin, issued_at, hours, rules.context_hours)
    energy = {hour: value for hour, value in history.items() if value is not None}
    warnings = _context_warnings(origin, issued_at, energy, has_metadata=building is not None)
    if sum(hour >= origin - WEEK * HOUR for hour in energy) < MIN_MODEL_HOURS:
        warnings.add("short_history")
    is_model = not warnings & {"short_history", "flat_meter"}
    expected = {
        "issued_at": issued_at,
        "target_hour": [origin + lead * HOUR for lead in range(rules.lead_hours)],
        "method": "model" if is_model else _fallback(len(_without_flat_end(energy))),
        "warnings": warnings,
    }
    findings = differences("forecast", where, row | {"warnings": set(row["warnings"])}, expected)
    for name in ("p10_kwh", "p50_kwh", "p90_kwh"):
        if len(row[name]) != rules.lead_hours:
            findings.append(Finding("wrong", "forecast", f"{where}: {name} has {len(row[name])} values"))
    if row["method"] in ("weekly_profile", "last_known_profile"):
        findings += _profile_findings(row, where, _without_flat_end(energy), building)
    return findings


def _context_warnings(
    origin: datetime, issued_at: datetime, energy: dict[datetime, float], *, has_metadata: bool
) -> set[str]:
    since_first = (origin - min(energy)) // HOUR if energy else 0
    conditions = {
        "no_metadata": not has_metadata,
        "cold_start": len(energy) < WEEK,
        "gaps": (since_first - len(energy)) * HOURS_PER_GAP > since_first,
        "stale_context": origin - HOUR not in energy,
        "flat_meter": _flat_end(energy) >= FLAT_HOURS,
        "late": issued_at >= origin + HOUR,
    }
    return {name for name, holds in conditions.items() if holds}


def _flat_end(energy: dict[datetime, float]) -> int:
    """How many of the newest hours have the same value."""
    values = [energy[hour] for hour in sorted(energy)]
    count = 0
    while count < len(values) and values[-1 - count] == values[-1]:
        count += 1
    return count


def _without_flat_end(energy: dict[datetime, float]) -> dict[datetime, float]:
    """A stuck meter's newest hours are left out, unless it has never shown another value."""
    flat = _flat_end(energy)
    if not FLAT_HOURS <= flat < len(energy):
        return energy
    return {hour: energy[hour] for hour in sorted(energy)[: len(energy) - flat]}


def _fallback(hours: int) -> str:
    if hours >= WEEK:
        return "weekly_profile"
    return "last_known_profile" if hours else "type_prior"


def _profile_findings(row: Row, where: str, energy: dict[datetime, float], building: Row | None) -> list[Finding]:
    """P50 is the median of the known hours of the same local hour of the day, or of the week; other lead hours are not judged."""
    zone = ZoneInfo((building or {}).get("timezone") or "UTC")

    def local_class(hour: datetime) -> tuple[int, ...]:
        local = hour.astimezone(zone)
        return (local.weekday(), local.hour) if row["method"] == "weekly_profile" else (local.hour,)

    by_class: dict[tuple[int, ...], list[float]] = defaultdict(list)
    for hour, value in energy.items():
        by_class[local_class(hour)].append(value)
    findings = []
    for hour, p50 in zip(row["target_hour"], row["p50_kwh"], strict=False):
        values = by_class.get(local_class(hour))
        if values and not is_same(p50, float(median(values))):
            findings.append(
                Finding("wrong", "forecast", f"{where}: P50 of {shown(hour)} is {p50}, not {median(values)}")
            )
    return findings
