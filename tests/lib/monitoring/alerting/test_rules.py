"""The alert rules of conf/alerts.yaml, evaluated by the monitor and by Prometheus."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pydantic
import pytest
import yaml

from wattcast.broker import Broker
from wattcast.deploy import prometheus
from wattcast.measurements import MEASURES, combined, measurement_row
from wattcast.monitoring.alerting.alerts import AlertInputs, alert_changes
from wattcast.monitoring.alerting.rules import AlertRule, AlertRules, load_alert_rules
from wattcast.monitoring.exporter import HealthMetrics
from wattcast.runtime.exporter import QueryMetrics
from wattcast.runtime.outage import Outage
from wattcast.runtime.progress import QueryProgress
from wattcast.settings import settings

ROOT = Path(__file__).parents[4]
MONITORING = ROOT / "k8s/monitoring"
RULES = load_alert_rules()
AT = pd.Timestamp("2026-03-01T12:00")
OPEN = ["alert_id", "rule", "scope", "subject", "started_at", "severity", "threshold"]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus"
)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.subject}")


def inputs(value: float | None, *, rule: AlertRule, at: pd.Timestamp = AT, now: pd.Timestamp | None = None,
           history: pd.DataFrame | None = None, opened: pd.DataFrame | None = None) -> AlertInputs:  # fmt: skip
    """What an evaluation reads where the subject of the rule has this value, or none is measured."""
    values = combined([])
    if value is not None:
        values = measurement_row(rule.measure, rule.scope, rule.subject or "x", value, 10_000)
    return all_inputs(values, at=at, now=now, history=history, opened=opened)


def all_inputs(values: pd.DataFrame, *, at: pd.Timestamp = AT, now: pd.Timestamp | None = None,
               history: pd.DataFrame | None = None, opened: pd.DataFrame | None = None) -> AlertInputs:  # fmt: skip
    empty = measurement_row("m", "s", "x", 0.0).assign(as_of=at)[:0]
    no_alerts = pd.DataFrame(columns=OPEN)
    return AlertInputs(
        at,
        values,
        empty if history is None else history,
        no_alerts if opened is None else opened,
        AT if now is None else now,
    )


def beyond(rule: AlertRule) -> float:
    return rule.threshold * 1.01 + 0.01 if rule.above is not None else rule.threshold * 0.99


def past(rule: AlertRule, value: float, *minutes: int) -> pd.DataFrame:
    rows = [
        measurement_row(rule.measure, rule.scope, rule.subject or "x", value).assign(as_of=AT - pd.Timedelta(minutes=m))
        for m in minutes
    ]
    return pd.concat(rows)


@each_rule
def test_alert_fires_beyond_its_limit_for_its_time_alone_and_once_and_is_resolved(rule: AlertRule) -> None:
    alone = [rule.model_copy(update={"quiet_while": ""})]
    assert alert_changes(alone, inputs(rule.threshold, rule=rule)).empty
    history = past(rule, beyond(rule), *range(0, rule.for_minutes + 10, 5))
    if rule.for_minutes:
        assert alert_changes(alone, inputs(beyond(rule), rule=rule)).empty
        broken = pd.concat([history, past(rule, rule.threshold, 7)])
        assert alert_changes(alone, inputs(beyond(rule), rule=rule, history=broken)).empty
    fired = alert_changes(alone, inputs(beyond(rule), rule=rule, history=history))
    assert list(fired["state"]) == ["firing"]
    assert fired["message"].iloc[0]
    assert alert_changes(alone, inputs(beyond(rule), rule=rule, history=history, opened=fired)).empty
    clear = rule.threshold if rule.clear is None else rule.clear
    if rule.clear is not None:  # between the two limits nothing changes
        between = (rule.threshold + rule.clear) / 2
        assert alert_changes(alone, inputs(between, rule=rule, opened=fired)).empty
        assert alert_changes(alone, inputs(between, rule=rule)).empty
    over = alert_changes(alone, inputs(clear, at=AT + pd.Timedelta(hours=1), rule=rule, opened=fired))
    assert list(over["state"]) == ["resolved"]
    assert list(over["alert_id"]) == list(fired["alert_id"])
    assert list(over["changed_at"]) == [AT + pd.Timedelta(hours=1)]


def test_few_samples_raise_nothing_and_keep_nothing_open() -> None:
    rule = next(rule for rule in RULES if rule.fewest_samples and not rule.for_minutes)
    few, good = (
        measurement_row(rule.measure, rule.scope, "x", value, rule.fewest_samples - 1) for value in (beyond(rule), 0.0)
    )
    assert alert_changes([rule], all_inputs(few)).empty
    fired = alert_changes([rule], inputs(beyond(rule), rule=rule))
    assert alert_changes([rule], all_inputs(few, opened=fired)).empty
    assert list(alert_changes([rule], all_inputs(good, opened=fired))["state"]) == ["resolved"]


def test_an_alert_that_fires_again_while_the_clock_of_readings_stands_still_has_another_id() -> None:
    rule = next(rule for rule in RULES if rule.name == "no_check_in")
    first = alert_changes([rule], inputs(99, rule=rule))
    over = alert_changes([rule], inputs(0, rule=rule, opened=first, now=AT + pd.Timedelta(minutes=5)))
    again = alert_changes([rule], inputs(99, rule=rule, now=AT + pd.Timedelta(minutes=10)))
    assert list(over["alert_id"]) == list(first["alert_id"]) != list(again["alert_id"])
    keys = pd.concat([first, over, again])[["alert_id", "state", "changed_at"]]
    assert not keys.duplicated().any()


def test_the_work_does_not_grow_with_the_number_of_subjects_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The history is read as a whole, not once for each subject: that would take minutes for ten thousand."""
    select, selections = pd.DataFrame.__getitem__, 0

    def counted(frame: pd.DataFrame, key: Any) -> Any:
        nonlocal selections
        selections += 1
        return select(frame, key)

    by_count = {}
    for count in (10, 10_000):
        rule, waiting, long_beyond = _waiting(count)
        with monkeypatch.context() as patch:
            patch.setattr(pd.DataFrame, "__getitem__", counted)
            fired = alert_changes([rule], waiting)
        assert set(fired["subject"]) == long_beyond
        by_count[count], selections = selections, 0
    assert by_count[10] == by_count[10_000]


def _waiting(count: int) -> tuple[AlertRule, AlertInputs, set[str]]:
    """A rule with `for_minutes`, so many subjects beyond its limit, and those of them that have been so for long enough."""
    rule = next(rule for rule in RULES if rule.for_minutes and not rule.subject)
    names = [f"b{number}" for number in range(count)]
    value = measurement_row(rule.measure, rule.scope, "x", beyond(rule), 1000)
    values = pd.concat([value] * count).assign(subject=names)
    ages = [pd.Timedelta(minutes=minutes) for minutes in range(0, 12 * rule.for_minutes, rule.for_minutes // 2)]
    history = pd.concat([values.assign(as_of=AT - age) for age in ages], ignore_index=True)
    fresh = set(names[: count // 2])
    history.loc[history["subject"].isin(fresh) & (history["as_of"] < AT), "value"] = rule.threshold
    return rule, all_inputs(values, history=history), set(names) - fresh


def test_while_the_whole_fleet_is_silent_no_meter_raises_an_alert() -> None:
    values = combined([
        measurement_row("freshness_minutes", "fleet", "fleet", 500),
        measurement_row("meter_silent_minutes", "device", "m", 500, 9),
    ])  # fmt: skip
    found = alert_changes(RULES, all_inputs(values))
    assert set(found["rule"]) == {"fleet_silent"}


def test_a_fleet_without_any_measurement_is_silent() -> None:
    found = alert_changes(RULES, inputs(None, rule=RULES[0]))
    assert list(found["rule"]) == ["fleet_silent"]
    assert found["message"].iloc[0].startswith("No building has any reading: check the gateways")
    assert pd.isna(found["value"].iloc[0])


def test_alerts_of_unmeasured_subjects_and_of_removed_rules_are_resolved() -> None:
    rule = next(rule for rule in RULES if rule.name == "meter_stuck")
    fired = alert_changes([rule], inputs(99, rule=rule))
    unmeasured = alert_changes([rule], inputs(None, rule=rule, opened=fired))
    assert list(unmeasured["state"]) == ["resolved"]
    assert list(unmeasured["message"]) == ["The subject is no longer measured."]
    seen = past(rule, 99, 60)
    assert alert_changes([rule], inputs(None, rule=rule, opened=fired, history=seen)).empty
    removed = alert_changes([], inputs(99, rule=rule, opened=fired))
    assert list(removed["state"]) == ["resolved"]
    assert list(removed["message"]) == ["The alert rule was removed."]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"below": 1}, "either above or below"),
        ({"above": None}, "either above or below"),
        ({"clear": 9}, "clear lies beyond"),
        ({"message": "{nobody}"}, "message cannot be filled in"),
        ({"when_missing": "There is none"}, "scope fleet"),
        ({"measure": "meter_age"}, "nothing is measured as meter_age"),
        ({"scope": "table"}, "nothing is measured as meter_late_share of the scope table"),
        ({"limit": 3}, "Extra inputs"),
        ({"scope": "planet"}, "Input should be"),
        ({"quiet_while": "nothing"}, "a rule that is not there"),
    ],
)
def test_an_invalid_rule_is_refused_with_the_reason(change: dict[str, Any], said: str) -> None:
    good = {
        "name": "a",
        "measure": "meter_late_share",
        "scope": "device",
        "above": 5,
        "severity": "warning",
        "message": "x",
    }
    AlertRules.model_validate([good])
    with pytest.raises(pydantic.ValidationError, match=said):
        AlertRules.model_validate([good | change])


def test_committed_prometheus_rules_are_those_of_conf() -> None:
    committed = (MONITORING / "rules.yaml").read_text(encoding="utf-8")
    assert committed == prometheus.rules_yaml(), "run python -m wattcast.deploy.prometheus"


@pytest.mark.parametrize("file", sorted((MONITORING / "dashboards").glob("*.json")), ids=lambda file: file.stem)
def test_dashboard_asks_for_metrics_and_measures_that_are_exported(file: Path) -> None:
    board = json.loads(file.read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert asked
    for expression in asked:
        assert not unknown(expression), expression
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_an_invented_metric_measure_or_scope_is_found() -> None:
    assert unknown('wattcast_health{measure="meter_age",scope="device"}') == {"meter_age"}
    assert unknown('topk(20, wattcast_health{measure="completeness",scope="device"})') == {"device"}
    assert unknown("wattcast_query_lag") == {"wattcast_query_lag"}
    assert not unknown('wattcast_health{measure="completeness",scope="fleet"}')


def unknown(expression: str) -> set[str]:
    """The metrics, measures and scopes of an expression that no program exports."""
    metrics = set(re.findall(r"\bwattcast_\w+", expression))
    measures, scopes = (set(re.findall(f'{label}="(\\w+)"', expression)) for label in ("measure", "scope"))
    possible = {scope for measure in measures for scope in MEASURES.get(measure, scopes)}
    return (metrics - exported()) | (measures - set(MEASURES)) | (scopes - possible)


def exported() -> set[str]:
    """The names of all metrics of jobs and the monitor, from the collectors themselves."""
    health = HealthMetrics()
    health.put(combined([]), 0)
    return {
        family.name
        for collector in (health, QueryMetrics(QueryProgress(), Outage(Broker(settings().kafka))))
        for family in collector.collect()
    }


def test_the_guide_explains_every_measure() -> None:
    guide = (ROOT / "docs/guide-operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+) \| ([a-z, ]+) \|", guide, re.MULTILINE)
    told = {name: set(scopes.split(", ")) for names, scopes in rows for name in re.findall(r"`(\w+)`", names)}
    assert {name: set(scopes) for name, scopes in MEASURES.items()}.items() <= told.items()


@needs_promtool
def test_promtool_accepts_the_rules() -> None:
    subprocess.run(["promtool", "check", "rules", str(MONITORING / "rules.yaml")], check=True, capture_output=True)


@needs_promtool
def test_in_prometheus_each_rule_fires_beyond_its_limit_and_not_at_it(tmp_path: Path) -> None:
    """The same values as above, minute by minute for two hours, at the limit and beyond it."""
    cases = [
        case
        for rule in RULES
        for case in (_case(rule, rule.threshold, fires=False), _case(rule, beyond(rule), fires=True))
    ]
    promtool(tmp_path, cases)


EVALUATED, SEEN = (
    "wattcast_monitor_evaluated_timestamp_seconds",
    'wattcast_query_seen_timestamp_seconds{query="ingest"%s}',
)


@needs_promtool
@pytest.mark.parametrize(
    ("series", "alerts"),
    [
        # The monitor evaluates every minute and finds no value at all; the forecasts are quiet while the fleet is silent.
        ({EVALUATED: "0+60x120"}, {"14m": set(), "16m": {"WattcastFleetSilentAbsent"}, "60m": {"WattcastFleetSilentAbsent"}}),
        (
            {EVALUATED: "0+60x120", 'wattcast_health{measure="freshness_minutes",scope="fleet",subject="fleet"}': "5x120"},
            {"14m": set(), "16m": {"WattcastNoForecastAbsent"}},
        ),
        # The monitor stops after ten minutes but can still be asked, and then not even that.
        (
            {EVALUATED: "0+60x10 600x110"},
            {"39m": {"WattcastFleetSilentAbsent"}, "52m": {"WattcastFleetSilentAbsent", "WattcastMonitorSilent"}},
        ),
        ({EVALUATED: "0+60x5 _x115"}, {"14m": set(), "30m": {"WattcastMonitorSilent"}}),
        # A query goes on, stands still, or its job has ended; then it is taken up by another pod.
        ({SEEN % "": "0+60x120"}, {"60m": set()}),
        ({SEEN % "": "0+60x10 600x110"}, {"39m": set(), "42m": {"WattcastQuerySilent"}}),
        ({SEEN % "": "0+60x10 _x110"}, {"39m": set(), "42m": {"WattcastQuerySilent"}}),
        ({SEEN % ',instance="old"': "0+60x10 _x110", SEEN % ',instance="new"': "_x50 3060+60x70"},
         {"42m": {"WattcastQuerySilent"}, "60m": set()}),
    ],
)  # fmt: skip
def test_in_prometheus_missing_data_raises_an_alert_when_due_and_not_before(
    tmp_path: Path, series: dict[str, str], alerts: dict[str, set[str]]
) -> None:
    watched = "WattcastFleetSilentAbsent|WattcastNoForecastAbsent|WattcastQuerySilent"
    asked = f'count by (alertname) (ALERTS{{alertname=~"{watched}|WattcastMonitorSilent",alertstate="firing"}})'
    well = {
        f'wattcast_health{{measure="{rule.measure}",scope="fleet",subject="fleet"}}': "5x120"
        for rule in RULES
        if rule.when_missing
    }
    beside = {} if EVALUATED in series else {EVALUATED: "0+60x120"} | well  # where a case is of queries alone
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": said} for name, said in (series | beside).items()],
        "promql_expr_test": [
            {
                "expr": asked,
                "eval_time": minute,
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
            }
            for minute, names in alerts.items()
        ],
    }
    promtool(tmp_path, [case])


def promtool(folder: Path, cases: list[dict[str, Any]]) -> None:
    """Debian's promtool on the committed rules; what it says where a case fails."""
    file, rules = folder / "rules-test.yaml", str(MONITORING / "rules.yaml")
    file.write_text(yaml.safe_dump({"rule_files": [rules], "evaluation_interval": "1m", "tests": cases}))
    done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _case(rule: AlertRule, value: float, *, fires: bool) -> dict[str, Any]:
    labels = f'measure="{rule.measure}",scope="{rule.scope}",subject="{rule.subject or "x"}"'
    name = prometheus.alert_name(f"{rule.name}_{rule.subject}")
    minutes = max(rule.for_minutes - 2, 0)
    after = rule.for_minutes + 5
    said = f'ALERTS{{alertname="{name}",alertstate="firing",rule="{rule.name}",severity="{rule.severity}",{labels}}}'
    asked = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
    checks = [{"expr": asked, "eval_time": f"{after}m", "exp_samples": [{"labels": said, "value": 1}] if fires else []}]
    if rule.for_minutes:
        checks.append({"expr": asked, "eval_time": f"{minutes}m", "exp_samples": []})
    series = [{"series": f"wattcast_health{{{labels}}}", "values": f"{value}x130"},
              {"series": f"wattcast_health_samples{{{labels}}}", "values": "100000x130"}]  # fmt: skip
    return {"interval": "1m", "input_series": series, "promql_expr_test": checks}
