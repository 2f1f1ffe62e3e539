"""Which alerts the rules raise and resolve, given what is measured now and what was measured before (pandas)."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from wattcast.measurements import FLEET
from wattcast.monitoring.alerting.rules import AlertRule

FIRING, RESOLVED = "firing", "resolved"
HISTORY = pd.Timedelta(hours=24)  # for so long an alert stays open although its subject is not measured
IDENTITY = ("alert_id", "rule", "severity", "scope", "subject", "started_at", "threshold")  # same when it is resolved


@dataclass(frozen=True)
class AlertInputs:
    """What one evaluation of the rules reads. `values`: measure, scope, subject, value, samples, details, as measured now.
    `history`: rows of `health` (as_of, measure, scope, subject, value) of the HISTORY before. `open`: firing alerts, in the
    columns of `alerts`. `as_of` is on the clock of the readings, `now` on that of this machine."""

    as_of: pd.Timestamp
    values: pd.DataFrame
    history: pd.DataFrame
    open: pd.DataFrame
    now: pd.Timestamp


def subjects_needing_history(rules: Sequence[AlertRule], values: pd.DataFrame, opened: pd.DataFrame) -> set[str]:
    """The subjects whose history `alert_changes` reads: those beyond a limit with `for_minutes`, and those of open alerts."""
    subjects = {str(name) for name in opened["subject"]}
    for rule in rules:
        if rule.for_minutes:
            rows = values[_matches(values, rule)]
            subjects |= set(rows.loc[rows["value"].map(rule.is_beyond).astype(bool), "subject"])
    return subjects


def alert_changes(rules: Sequence[AlertRule], inputs: AlertInputs) -> pd.DataFrame:
    """Rows for the table `alerts`: alerts that begin to fire, and alerts that are resolved. An alert that stays open has none."""
    firing = {str(name) for name in inputs.open["rule"]} & {rule.name for rule in rules}
    changes: list[dict[str, Any]] = []
    for rule in sorted(rules, key=lambda rule: bool(rule.quiet_while)):  # first those that keep others quiet
        of_rule = list(_changes_of_rule(rule, inputs, is_quiet=rule.quiet_while in firing))
        changes += of_rule
        firing |= {rule.name for change in of_rule if change["state"] == FIRING}
    changes += list(_changes_of_removed_rules(rules, inputs))
    return pd.DataFrame(changes)


def _changes_of_rule(rule: AlertRule, inputs: AlertInputs, *, is_quiet: bool) -> Iterator[dict[str, Any]]:
    rows = inputs.values[_matches(inputs.values, rule)]
    opened = {str(alert.subject): alert for alert in inputs.open.itertuples() if _is_of_rule(alert, rule)}
    if rule.when_missing and rows.empty and FLEET not in opened and not is_quiet:
        yield _firing(rule, FLEET, None, rule.when_missing, inputs)
        return
    if not is_quiet:
        yield from _new_alerts(rule, rows[~rows["subject"].isin(opened)], inputs)
    if opened:
        yield from _resolved_alerts(rule, rows, opened, inputs)


def _new_alerts(rule: AlertRule, rows: pd.DataFrame, inputs: AlertInputs) -> Iterator[dict[str, Any]]:
    """The alerts of subjects that have no open one. The history is read only if one is beyond the limit, which is rare."""
    has_enough_samples = ~(rows["samples"].astype(float) < rule.fewest_samples)
    rows = rows[rows["value"].map(rule.is_beyond).astype(bool) & has_enough_samples]
    if rows.empty:
        return
    beyond_since = _beyond_since(rule, inputs)
    fires_before = inputs.as_of - pd.Timedelta(minutes=rule.for_minutes)
    for row in rows.itertuples():
        subject = str(row.subject)
        if beyond_since.get(subject, inputs.as_of) <= fires_before:
            yield _firing(rule, subject, float(str(row.value)), _message(rule, row), inputs)


def _resolved_alerts(
    rule: AlertRule, rows: pd.DataFrame, opened: Mapping[str, Any], inputs: AlertInputs
) -> Iterator[dict[str, Any]]:
    for row in rows[rows["subject"].isin(opened)].itertuples():
        value = float(str(row.value))
        if rule.is_clear(value):
            yield _resolved(opened[str(row.subject)], value, _message(rule, row), inputs)
    measured = set(inputs.history["subject"][_matches(inputs.history, rule)]) | set(rows["subject"])
    for subject, alert in opened.items():
        if subject not in measured and not (rule.when_missing and rows.empty):
            yield _resolved(alert, None, "The subject is no longer measured.", inputs)


def _message(rule: AlertRule, row: Any) -> str:
    return rule.rendered_message(
        str(row.subject), float(str(row.value)), row.details if isinstance(row.details, str) else ""
    )


def _changes_of_removed_rules(rules: Sequence[AlertRule], inputs: AlertInputs) -> Iterator[dict[str, Any]]:
    for alert in inputs.open.itertuples():
        if not any(_is_of_rule(alert, rule) for rule in rules):
            yield _resolved(alert, None, "The alert rule was removed.", inputs)


def _beyond_since(rule: AlertRule, inputs: AlertInputs) -> dict[str, pd.Timestamp]:
    """By subject, the time since when its earlier values are beyond the limit without a break; empty without `for_minutes`."""
    past = inputs.history[_matches(inputs.history, rule)]
    if not rule.for_minutes or past.empty:
        return {}
    last_within = past[~past["value"].map(rule.is_beyond).astype(bool)].groupby("subject")["as_of"].max()
    unbroken = past[~(past["as_of"] <= past["subject"].map(last_within))]
    since = unbroken.groupby("subject")["as_of"].min()
    return {str(subject): pd.Timestamp(at) for subject, at in since.items()}


def _matches(rows: pd.DataFrame, rule: AlertRule) -> pd.Series:
    """Which rows have the measure, the scope and the subject of the rule."""
    is_measure = (rows["measure"] == rule.measure) & (rows["scope"] == rule.scope)
    return is_measure & (rows["subject"] == rule.subject) if rule.subject else is_measure


def _is_of_rule(alert: Any, rule: AlertRule) -> bool:
    return bool(alert.rule == rule.name and alert.scope == rule.scope and rule.subject in ("", alert.subject))


def _firing(rule: AlertRule, subject: str, value: float | None, message: str, inputs: AlertInputs) -> dict[str, Any]:
    """The id contains `now`: the clock of the readings may stand still while an alert fires, is resolved and fires again."""
    identity = f"{rule.name}|{rule.scope}|{subject}|{inputs.now.value // 1000}"
    return {
        "alert_id": hashlib.sha256(identity.encode()).hexdigest()[:32], "state": FIRING, "changed_at": inputs.as_of,
        "rule": rule.name, "severity": rule.severity, "scope": rule.scope, "subject": subject, "started_at": inputs.as_of,
        "value": value, "threshold": rule.threshold, "message": message, "created_at": inputs.now,
    }  # fmt: skip


def _resolved(alert: Any, value: float | None, message: str, inputs: AlertInputs) -> dict[str, Any]:
    identity = {name: getattr(alert, name) for name in IDENTITY}
    changed = {"changed_at": inputs.as_of, "value": value, "message": message, "created_at": inputs.now}
    return identity | {"state": RESOLVED} | changed
