"""Which alerts months of simulated buildings raise: a clean one none, a drifted one those that are right, each resolved."""

from collections.abc import Hashable

import pandas as pd
from tests.lib.monitoring.months import drifted, meter_of, month, sensor_of

from wattcast.measurements import combined
from wattcast.monitoring.alerting.alerts import FIRING, RESOLVED, AlertInputs, alert_changes
from wattcast.monitoring.alerting.rules import load_alert_rules
from wattcast.monitoring.measures.meter_health import STUCK_WINDOW, age_unseen, device_measurements, fleet_ages

DAYS = 30


def test_a_clean_month_raises_nothing() -> None:
    watch = month(1, DAYS)
    assert watch.changed.empty, watch.changed[["rule", "subject", "value", "changed_at"]]
    assert {row for values in watch.values for row in values["measure"]} >= {
        "input_drift_ks", "residual_drift_ks", "interval_coverage", "temperature_off_site_c", "meter_silent_minutes"
    }  # fmt: skip


def test_a_drifted_month_raises_the_right_alerts_and_no_others_and_each_is_resolved() -> None:
    watch = month(1, DAYS, drifted)
    sites = watch.fleet.sites
    raised = {(row.rule, row.subject) for row in watch.changed.itertuples() if row.state == FIRING}
    assert raised == {
        ("sensor_off_site", sensor_of(sites)), ("input_drift", "occupancy"), ("meter_level", meter_of(sites))
    }  # fmt: skip
    states = watch.changed.groupby("alert_id")["state"].agg(list)
    assert all(each == [FIRING, RESOLVED] for each in states)


def readings(silent_from: pd.Timestamp, back_at: pd.Timestamp) -> pd.DataFrame:
    """Two meters every half hour for two days, of which one is silent for a while."""
    index = pd.date_range("2026-03-01", "2026-03-03", freq="30min")
    both = [
        pd.DataFrame({"building_id": name, "measured_at": index, "energy_usage_kwh": range(len(index))})
        for name in ("a", "b")
    ]
    rows = pd.concat(both, ignore_index=True)
    rows = rows[
        ~((rows["building_id"] == "b") & (rows["measured_at"] >= silent_from) & (rows["measured_at"] < back_at))
    ]
    rows["kafka_timestamp"] = rows["measured_at"] + pd.Timedelta(minutes=31)
    return rows.assign(device_id=rows["building_id"], accepted=True, interval_minutes=30.0)


def test_a_silent_meter_raises_an_alert_within_its_limit_and_is_resolved_when_it_sends() -> None:
    silent, back = pd.Timestamp("2026-03-02T06:00"), pd.Timestamp("2026-03-02T16:00")
    rows, rules = readings(silent, back), load_alert_rules()
    limit = next(rule.threshold for rule in rules if rule.name == "meter_silent")
    before = pd.DataFrame(columns=["measure", "scope", "subject", "value", "as_of"])
    opened = pd.DataFrame(columns=["alert_id", "rule", "scope", "subject", "started_at", "severity", "threshold"])
    transitions: list[dict[Hashable, object]] = []
    for as_of in pd.date_range(silent - pd.Timedelta(hours=1), back + pd.Timedelta(hours=2), freq="5min"):
        # A window of two hours instead of two days, so that the meter leaves it while it is silent.
        arrived = rows[(rows["kafka_timestamp"] <= as_of) & (rows["kafka_timestamp"] > as_of - STUCK_WINDOW / 24)]
        found = device_measurements(arrived, as_of, grace_minutes=5)
        found = combined([found, age_unseen(before, found, as_of, forget_days=30)])
        before, found = found.assign(as_of=as_of), combined([found, fleet_ages(found)])
        changed = alert_changes(rules, AlertInputs(as_of, found, before[:0], opened, now=as_of))
        changed = changed[changed["rule"] == "meter_silent"] if len(changed) else changed
        transitions += changed.to_dict("records")
        newest = pd.DataFrame(transitions)
        opened = newest.iloc[-1:] if transitions and transitions[-1]["state"] == FIRING else opened[:0]
    last_heard = silent - pd.Timedelta(minutes=30) + pd.Timedelta(minutes=31)
    assert [(each["subject"], each["state"]) for each in transitions] == [("b", FIRING), ("b", RESOLVED)]
    due = last_heard + pd.Timedelta(minutes=limit)
    assert due < transitions[0]["changed_at"] <= due + pd.Timedelta(minutes=5)
    heard = back + pd.Timedelta(minutes=31)
    assert heard <= transitions[1]["changed_at"] <= heard + pd.Timedelta(minutes=5)
