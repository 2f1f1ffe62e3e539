"""The alert rules of conf/alerts.yaml for Prometheus: `python -m wattcast.deploy.prometheus` writes k8s/monitoring/rules.yaml."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from wattcast.alerts import Rule, alert_rules

HEAD = "# Written by `python -m wattcast.deploy.prometheus` from conf/alerts.yaml: change it there.\n"
SILENT_SECONDS = 1800  # of the monitor, or of a query
ABSENT_MINUTES = 15
KEEP_FIRING_MINUTES = 15  # in the place of the limit `clear`, which Prometheus has not


def rules(found: Sequence[Rule]) -> dict[str, Any]:
    """The groups of a Prometheus rule file. Besides the rules: the monitor itself has not evaluated, or cannot be scraped."""
    return {
        "groups": [
            {"name": "wattcast", "rules": [each for rule in found for each in _of_rule(rule)]},
            {"name": "wattcast-monitor", "rules": [_monitor_silent(), _query_silent()]},
        ]
    }


def name_of(rule: str) -> str:
    """The name of an alert as Prometheus users write it: fleet_silent is WattcastFleetSilent. Names are unique; the label `rule`
    has that of conf/alerts.yaml."""
    return "Wattcast" + "".join(part.capitalize() for part in rule.split("_"))


def _of_rule(rule: Rule) -> Iterator[dict[str, Any]]:
    chosen = f'measure="{rule.measure}",scope="{rule.scope}"' + (f',subject="{rule.subject}"' if rule.subject else "")
    sign, limit = (">", rule.above) if rule.above is not None else ("<", rule.below)
    expression = f"wattcast_health{{{chosen}}} {sign} {limit:g}"
    if rule.fewest_samples:
        enough = f"wattcast_health_samples{{{chosen}}} >= {rule.fewest_samples}"
        expression += f" and on (measure, scope, subject, instance) {enough}"
    quiet = f' unless on () ALERTS{{rule="{rule.quiet_while}",alertstate="firing"}}' if rule.quiet_while else ""
    expression += quiet
    alert: dict[str, Any] = {"alert": name_of(f"{rule.name}_{rule.subject}"), "expr": expression}
    if rule.for_minutes:
        alert["for"] = f"{rule.for_minutes}m"
    if rule.clear is not None:
        alert["keep_firing_for"] = f"{KEEP_FIRING_MINUTES}m"
    yield alert | _about(rule, _summary(rule))
    if rule.when_missing:
        missing = f"absent(wattcast_health{{{chosen}}}) and on () wattcast_monitor_evaluated_timestamp_seconds{quiet}"
        about = _about(rule, rule.when_missing)
        yield {"alert": name_of(f"{rule.name}_absent"), "expr": missing, "for": f"{ABSENT_MINUTES}m"} | about


def _about(rule: Rule, summary: str) -> dict[str, Any]:
    return {"labels": {"severity": rule.severity, "rule": rule.name}, "annotations": {"summary": summary}}


def _monitor_silent() -> dict[str, Any]:
    seen = "wattcast_monitor_evaluated_timestamp_seconds"
    return {
        "alert": "WattcastMonitorSilent",
        "expr": f"time() - {seen} > {SILENT_SECONDS} or absent({seen})",
        "for": "10m",
        "labels": {"severity": "critical", "rule": "no_check_in"},
        "annotations": {"summary": "The monitor does not evaluate: no alert is raised or resolved."},
    }


def _query_silent() -> dict[str, Any]:
    """Of a job that has ended nobody can ask: for a day it is known when its queries were seen last, by whichever pod."""
    seen = "max by (query) (last_over_time(wattcast_query_seen_timestamp_seconds[1d]))"
    return {
        "alert": "WattcastQuerySilent",
        "expr": f"time() - {seen} > {SILENT_SECONDS}",
        "labels": {"severity": "critical", "rule": "no_check_in"},
        "annotations": {"summary": "The query {{ $labels.query }} makes no progress."},
    }


def _summary(rule: Rule) -> str:
    """The message of the rule in Prometheus' templates, which know no details."""

    def value(found: re.Match[str]) -> str:
        form = found[1] or ""
        if form.endswith("%"):
            return "{{ $value | humanizePercentage }}"
        return f'{{{{ $value | printf "%{form}" }}}}' if form else "{{ $value }}"

    text = re.sub(r"\{value(?::([^}]*))?\}", value, rule.message)
    text = text.replace("{subject}", "{{ $labels.subject }}").replace("{threshold}", f"{rule.threshold:g}")
    return re.sub(r"[: ]*\{details\}\.?", "", text)


def text() -> str:
    """The whole file."""
    return HEAD + str(yaml.safe_dump(rules(alert_rules()), sort_keys=False, width=130, allow_unicode=True))


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "k8s/monitoring/rules.yaml").write_text(text(), encoding="utf-8")
