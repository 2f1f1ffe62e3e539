"""The alert rules of conf/alerts.yaml as a Prometheus rule file.

`python -m wattcast.deploy.prometheus [FILE]` writes k8s/monitoring/rules.yaml.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from wattcast.monitoring.alerting.rules import AlertRule, load_alert_rules

HEAD = "# Written by `python -m wattcast.deploy.prometheus` from conf/alerts.yaml: change it there.\n"
SILENT_SECONDS = 1800  # without an evaluation of the monitor, or without progress of a query
BROKER_AWAY_SECONDS = 120
ABSENT_MINUTES = 15
KEEP_FIRING_MINUTES = 15  # instead of the limit `clear`, which Prometheus does not support


def rule_groups(rules: Sequence[AlertRule]) -> dict[str, Any]:
    """The groups of a rule file: the given rules, and three about a silent monitor, a silent query and a broker that is away."""
    return {
        "groups": [
            {"name": "wattcast", "rules": [alert for rule in rules for alert in _alerts(rule)]},
            {"name": "wattcast-monitor", "rules": [_monitor_silent(), _query_silent(), _broker_away()]},
        ]
    }


def alert_name(rule: str) -> str:
    """The unique alert name in Prometheus style: fleet_silent becomes WattcastFleetSilent.

    The label `rule` of the alert has the name of conf/alerts.yaml.
    """
    return "Wattcast" + "".join(part.capitalize() for part in rule.split("_"))


def _alerts(rule: AlertRule) -> Iterator[dict[str, Any]]:
    selector = f'measure="{rule.measure}",scope="{rule.scope}"' + (f',subject="{rule.subject}"' if rule.subject else "")
    sign, limit = (">", rule.above) if rule.above is not None else ("<", rule.below)
    expression = f"wattcast_health{{{selector}}} {sign} {limit:g}"
    if rule.fewest_samples:
        min_samples = f"wattcast_health_samples{{{selector}}} >= {rule.fewest_samples}"
        expression += f" and on (measure, scope, subject, instance) {min_samples}"
    muted = f' unless on () ALERTS{{rule="{rule.quiet_while}",alertstate="firing"}}' if rule.quiet_while else ""
    expression += muted
    alert: dict[str, Any] = {"alert": alert_name(f"{rule.name}_{rule.subject}"), "expr": expression}
    if rule.for_minutes:
        alert["for"] = f"{rule.for_minutes}m"
    if rule.clear is not None:
        alert["keep_firing_for"] = f"{KEEP_FIRING_MINUTES}m"
    yield alert | _details(rule, _summary(rule))
    if rule.when_missing:
        missing = f"absent(wattcast_health{{{selector}}}) and on () wattcast_monitor_evaluated_timestamp_seconds{muted}"
        details = _details(rule, rule.when_missing)
        yield {"alert": alert_name(f"{rule.name}_absent"), "expr": missing, "for": f"{ABSENT_MINUTES}m"} | details


def _details(rule: AlertRule, summary: str) -> dict[str, Any]:
    return {"labels": {"severity": rule.severity, "rule": rule.name}, "annotations": {"summary": summary}}


def _monitor_silent() -> dict[str, Any]:
    evaluated = "wattcast_monitor_evaluated_timestamp_seconds"
    return {
        "alert": "WattcastMonitorSilent",
        "expr": f"time() - {evaluated} > {SILENT_SECONDS} or absent({evaluated})",
        "for": "10m",
        "labels": {"severity": "critical", "rule": "no_check_in"},
        "annotations": {"summary": "The monitor does not evaluate: no alert is raised or resolved."},
    }


def _query_silent() -> dict[str, Any]:
    """A job that has ended cannot be scraped, so the newest value of any of its pods in the last day counts."""
    last_seen = "max by (query) (last_over_time(wattcast_query_seen_timestamp_seconds[1d]))"
    return {
        "alert": "WattcastQuerySilent",
        "expr": f"time() - {last_seen} > {SILENT_SECONDS}",
        "labels": {"severity": "critical", "rule": "no_check_in"},
        "annotations": {"summary": "The query {{ $labels.query }} makes no progress."},
    }


def _broker_away() -> dict[str, Any]:
    return {
        "alert": "WattcastBrokerAway",
        "expr": f"max(wattcast_broker_outage_seconds) > {BROKER_AWAY_SECONDS}",
        "labels": {"severity": "critical", "rule": "broker_away"},
        "annotations": {"summary": "Jobs have been waiting for the Kafka broker for {{ $value | humanizeDuration }}."},
    }


def _summary(rule: AlertRule) -> str:
    """The message of the rule as a Prometheus template, without the details, which Prometheus does not have."""

    def value(match: re.Match[str]) -> str:
        number_format = match[1] or ""
        if number_format.endswith("%"):
            return "{{ $value | humanizePercentage }}"
        return f'{{{{ $value | printf "%{number_format}" }}}}' if number_format else "{{ $value }}"

    text = re.sub(r"\{value(?::([^}]*))?\}", value, rule.message)
    text = text.replace("{subject}", "{{ $labels.subject }}").replace("{threshold}", f"{rule.threshold:g}")
    return re.sub(r"[: ]*\{details\}\.?", "", text)


def rules_yaml() -> str:
    """The text of the rule file."""
    return HEAD + str(yaml.safe_dump(rule_groups(load_alert_rules()), sort_keys=False, width=130, allow_unicode=True))


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "k8s/monitoring/rules.yaml").write_text(rules_yaml(), encoding="utf-8")
