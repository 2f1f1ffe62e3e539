"""The alert rules: as they are written, as pure functions, and the same in Prometheus."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import pydantic
import pytest
import yaml

from wattcast.alerts import Moment, Rule, Rules, alert_rules, changes
from wattcast.deploy import prometheus
from wattcast.measures import MEASURES, one_row, together
from wattcast.metrics import HealthMetrics, QueryMetrics, QueryProgress

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "k8s/monitoring"
RULES = alert_rules()
AT = pd.Timestamp("2026-03-01T12:00")
OPEN = ["alert_id", "rule", "scope", "subject", "started_at", "severity", "threshold"]

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool: apt-get install prometheus"
)
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.subject}")


def moment(value: float | None, *, at: pd.Timestamp = AT, history: pd.DataFrame | None = None,
           opened: pd.DataFrame | None = None, rule: Rule) -> Moment:  # fmt: skip
    found = together([]) if value is None else one_row(rule.measure, rule.scope, rule.subject or "x", value, 10_000)
    none = one_row("m", "s", "x", 0.0).assign(as_of=at)[:0]
    return Moment(
        at, found, none if history is None else history, pd.DataFrame(columns=OPEN) if opened is None else opened
    )


def beyond(rule: Rule) -> float:
    return rule.threshold * 1.01 + 0.01 if rule.above is not None else rule.threshold * 0.99


def past(rule: Rule, value: float, *minutes: int) -> pd.DataFrame:
    rows = [
        one_row(rule.measure, rule.scope, rule.subject or "x", value).assign(as_of=AT - pd.Timedelta(minutes=m))
        for m in minutes
    ]
    return pd.concat(rows)


@each_rule
def test_alert_fires_beyond_its_limit_for_its_time_alone_and_once_and_is_resolved(rule: Rule) -> None:
    alone = [rule.model_copy(update={"quiet_while": ""})]
    assert changes(alone, moment(rule.threshold, rule=rule), now=AT).empty
    history = past(rule, beyond(rule), *range(0, rule.for_minutes + 10, 5))
    if rule.for_minutes:
        assert changes(alone, moment(beyond(rule), rule=rule), now=AT).empty
        broken = pd.concat([history, past(rule, rule.threshold, 7)])
        assert changes(alone, moment(beyond(rule), rule=rule, history=broken), now=AT).empty
    fired = changes(alone, moment(beyond(rule), rule=rule, history=history), now=AT)
    assert list(fired["state"]) == ["firing"]
    assert fired["message"].iloc[0]
    assert changes(alone, moment(beyond(rule), rule=rule, history=history, opened=fired), now=AT).empty
    clear = rule.threshold if rule.clear is None else rule.clear
    if rule.clear is not None:  # between the two limits nothing changes
        between = (rule.threshold + rule.clear) / 2
        assert changes(alone, moment(between, rule=rule, opened=fired), now=AT).empty
        assert changes(alone, moment(between, rule=rule), now=AT).empty
    over = changes(alone, moment(clear, at=AT + pd.Timedelta(hours=1), rule=rule, opened=fired), now=AT)
    assert list(over["state"]) == ["resolved"]
    assert list(over["alert_id"]) == list(fired["alert_id"])
    assert list(over["changed_at"]) == [AT + pd.Timedelta(hours=1)]


def test_few_samples_raise_nothing_and_keep_nothing_open() -> None:
    rule = next(rule for rule in RULES if rule.fewest_samples and not rule.for_minutes)
    few, good = (
        one_row(rule.measure, rule.scope, "x", value, rule.fewest_samples - 1) for value in (beyond(rule), 0.0)
    )
    none = few.assign(as_of=AT)[:0]
    assert changes([rule], Moment(AT, few, none, pd.DataFrame(columns=OPEN)), now=AT).empty
    fired = changes([rule], moment(beyond(rule), rule=rule), now=AT)
    assert changes([rule], Moment(AT, few, none, fired), now=AT).empty
    assert list(changes([rule], Moment(AT, good, none, fired), now=AT)["state"]) == ["resolved"]


def test_an_alert_that_comes_again_while_the_clock_of_readings_stands_still_is_another_one() -> None:
    rule = next(rule for rule in RULES if rule.name == "no_check_in")
    first = changes([rule], moment(99, rule=rule), now=AT)
    over = changes([rule], moment(0, rule=rule, opened=first), now=AT + pd.Timedelta(minutes=5))
    again = changes([rule], moment(99, rule=rule), now=AT + pd.Timedelta(minutes=10))
    assert list(over["alert_id"]) == list(first["alert_id"]) != list(again["alert_id"])
    keys = pd.concat([first, over, again])[["alert_id", "state", "changed_at"]]
    assert not keys.duplicated().any()


def test_ten_thousand_subjects_that_wait_are_judged_at_once() -> None:
    """By the history of each, without going through all of it for each: this would take minutes."""
    rule = next(rule for rule in RULES if rule.for_minutes and not rule.subject)
    names = [f"b{number}" for number in range(10_000)]
    values = pd.concat([one_row(rule.measure, rule.scope, "x", beyond(rule), 1000)] * len(names)).assign(subject=names)
    ages = [pd.Timedelta(minutes=minutes) for minutes in range(0, 12 * rule.for_minutes, rule.for_minutes // 2)]
    history = pd.concat([values.assign(as_of=AT - age) for age in ages], ignore_index=True)
    fresh = set(names[:5000])
    history.loc[history["subject"].isin(fresh) & (history["as_of"] < AT), "value"] = rule.threshold
    begun = perf_counter()
    fired = changes([rule], Moment(AT, values, history, pd.DataFrame(columns=OPEN)), now=AT)
    assert perf_counter() - begun < 20
    assert set(fired["subject"]) == set(names) - fresh


def test_while_the_whole_fleet_is_silent_no_meter_is_told_apart() -> None:
    values = together([
        one_row("freshness_minutes", "fleet", "fleet", 500), one_row("meter_silent_minutes", "device", "m", 500, 9)
    ])  # fmt: skip
    found = changes(RULES, Moment(AT, values, values.assign(as_of=AT)[:0], pd.DataFrame(columns=OPEN)), now=AT)
    assert set(found["rule"]) == {"fleet_silent"}


def test_a_fleet_of_which_nothing_is_measured_is_silent() -> None:
    found = changes(RULES, moment(None, rule=RULES[0]), now=AT)
    assert list(found["rule"]) == ["fleet_silent"]
    assert found["message"].iloc[0].startswith("No reading of any building is known: look at")
    assert pd.isna(found["value"].iloc[0])


def test_what_is_not_measured_any_more_and_a_rule_that_is_gone_are_resolved() -> None:
    rule = next(rule for rule in RULES if rule.name == "meter_stuck")
    fired = changes([rule], moment(99, rule=rule), now=AT)
    gone = changes([rule], moment(None, rule=rule, opened=fired), now=AT)
    assert list(gone["state"]) == ["resolved"]
    seen = past(rule, 99, 60)
    assert changes([rule], moment(None, rule=rule, opened=fired, history=seen), now=AT).empty
    assert list(changes([], moment(99, rule=rule, opened=fired), now=AT)["state"]) == ["resolved"]


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
def test_a_rule_that_cannot_be_meant_is_refused_with_the_reason(change: dict[str, Any], said: str) -> None:
    good = {
        "name": "a",
        "measure": "meter_late_share",
        "scope": "device",
        "above": 5,
        "severity": "warning",
        "message": "x",
    }
    Rules.model_validate([good])
    with pytest.raises(pydantic.ValidationError, match=said):
        Rules.model_validate([good | change])


def test_committed_prometheus_rules_are_those_of_conf() -> None:
    committed = (MONITORING / "rules.yaml").read_text(encoding="utf-8")
    assert committed == prometheus.text(), "write them anew: python -m wattcast.deploy.prometheus"


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
    health.put(together([]), 0)
    return {family.name for collector in (health, QueryMetrics(QueryProgress())) for family in collector.collect()}


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
def test_in_prometheus_absence_is_told_when_it_must_be_and_not_before(
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


def _case(rule: Rule, value: float, *, fires: bool) -> dict[str, Any]:
    labels = f'measure="{rule.measure}",scope="{rule.scope}",subject="{rule.subject or "x"}"'
    name = prometheus.name_of(f"{rule.name}_{rule.subject}")
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
