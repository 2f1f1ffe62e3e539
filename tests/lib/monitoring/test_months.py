"""Which alerts months of simulated buildings raise: a clean one none, a drifted one those that are right, each resolved."""

import pandas as pd
import pytest
from tests.monitoring.months import drifted, meter_of, month, sensor_of

from wattcast.alerts import FIRING, RESOLVED, Moment, alert_rules, changes
from wattcast.measures import together
from wattcast.vitals import STUCK_WINDOW, grown, of_devices, of_fleet

DAYS = 30


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_clean_month_raises_nothing(seed: int) -> None:
    watch = month(seed, DAYS)
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


def test_a_silent_meter_is_told_within_its_limit_and_resolved_when_it_is_heard() -> None:
    silent, back = pd.Timestamp("2026-03-02T06:00"), pd.Timestamp("2026-03-02T16:00")
    rows, rules = readings(silent, back), alert_rules()
    limit = next(rule.threshold for rule in rules if rule.name == "meter_silent")
    before = pd.DataFrame(columns=["measure", "scope", "subject", "value", "as_of"])
    opened = pd.DataFrame(columns=["alert_id", "rule", "scope", "subject", "started_at", "severity", "threshold"])
    told = []
    for as_of in pd.date_range(silent - pd.Timedelta(hours=1), back + pd.Timedelta(hours=2), freq="5min"):
        # A window of two hours instead of two days, so that the meter leaves it while it is silent.
        arrived = rows[(rows["kafka_timestamp"] <= as_of) & (rows["kafka_timestamp"] > as_of - STUCK_WINDOW / 24)]
        found = of_devices(arrived, as_of, grace_minutes=5)
        found = together([found, grown(before, found, as_of, forget_days=30)])
        before, found = found.assign(as_of=as_of), together([found, of_fleet(found)])
        changed = changes(rules, Moment(as_of, found, before[:0], opened), now=as_of)
        changed = changed[changed["rule"] == "meter_silent"] if len(changed) else changed
        told += changed.to_dict("records")
        newest = pd.DataFrame(told)
        opened = newest.iloc[-1:] if told and told[-1]["state"] == FIRING else opened[:0]
    last_heard = silent - pd.Timedelta(minutes=30) + pd.Timedelta(minutes=31)
    assert [(each["subject"], each["state"]) for each in told] == [("b", FIRING), ("b", RESOLVED)]
    due = last_heard + pd.Timedelta(minutes=limit)
    assert due < told[0]["changed_at"] <= due + pd.Timedelta(minutes=5)
    heard = back + pd.Timedelta(minutes=31)
    assert heard <= told[1]["changed_at"] <= heard + pd.Timedelta(minutes=5)
