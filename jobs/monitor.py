"""The monitor: measures the platform into `health`, raises and resolves alerts, and tells of them."""

import logging
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
from prometheus_client import REGISTRY
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.alerts import alert_rules, changes
from wattcast.contracts import contract
from wattcast.forecasting import messages
from wattcast.job import Job, Run, append_health, run
from wattcast.measures import one_row
from wattcast.metrics import HealthMetrics
from wattcast.monitoring import Look, arrival_clock, look, moment, open_alerts, values, worth_keeping
from wattcast.settings import project_folder
from wattcast.webhook import Webhook
from wattcast_models.champions import current_champions
from wattcast_models.registry import Registry

log = logging.getLogger("wattcast.monitor")

RETRAINED, CHECKED = "retraining_started", "contract_failures"


def monitor(run: Run) -> list[StreamingQuery]:
    """Evaluates every `monitoring.interval_seconds`, at first at once; with --once it is `evaluate` alone."""
    if run.lake.once:
        return []
    due = 0.0

    def beat(_batch: DataFrame, _batch_id: int) -> None:
        nonlocal due
        if monotonic() >= due:
            due = monotonic() + run.settings.monitoring.interval_seconds
            evaluate(run)

    beats = run.spark.readStream.format("rate").option("rowsPerSecond", 1).load()
    return [run.lake.start(beats.writeStream.foreachBatch(beat), query="monitor")]


def evaluate(run: Run) -> int:
    """One look: what is measured goes into `health`, what changed into `alerts`; returns how many alerts changed."""
    now = datetime.now(UTC).replace(tzinfo=None)
    as_of = arrival_clock(run.lake, now)
    if as_of is None:
        log.info("Nothing has arrived yet: there is nothing to measure.")
        return 0
    rules = alert_rules()
    _check_contracts(run, as_of, now)
    each = look(run.lake, as_of, now)
    found = values(each, _reference(run))
    made: list[pd.DataFrame] = []

    def wanted(_existing: Any) -> DataFrame | None:
        made[:] = [changes(rules, moment(each, found, rules), now=pd.Timestamp(now))]
        return run.lake.frame("alerts", made[0]) if len(made[0]) else None

    count = run.lake.append("alerts", wanted)
    changed = made[0]
    append_health(run.lake, worth_keeping(each, found, rules, changed).assign(as_of=each.at))
    for row in changed.to_dict("records"):
        log.warning("%s %s %s: %s", row["state"], row["rule"], row["subject"], row["message"])
    firing = open_alerts(run.lake)
    _exported().put(found, len(firing))
    _webhook(run).tell(run.lake.table("alerts"))
    if run.settings.monitoring.retrain_on_drift:
        _retrain(run, each, {rule.name for rule in rules if rule.retrains} & set(firing["rule"]))
    return count


def publish(run: Run) -> list[StreamingQuery]:
    """The table `alerts` is the outbox: each row becomes one message, at least once."""
    topic = run.settings.kafka.alerts_topic
    run.broker.ensure_topics([topic])
    rows = messages(run.lake.stream("alerts"), contract("alert-messages"), key="alert_id")
    return [run.lake.start(run.broker.sink(rows, topic), query="publish-alerts")]


def _reference(run: Run) -> Mapping[str, Any] | None:
    """The training reference of the model that forecasts the buildings without a champion of their own; None, which is logged
    once, where it has none."""
    model = run.settings.model
    registry = Registry(run.settings.tracking_uri, model.registered_name)
    overall = current_champions(model.artifact, models=run.settings.state / "models", registry=registry).overall
    if overall is None or "reference" not in overall.config:
        who = f"{overall.name} {overall.version} has no training reference" if overall else "There is no model"
        _say_once(f"{who}: no drift of inputs is measured. `wattcast models reference` adds a reference.")
        return None
    found: Mapping[str, Any] = overall.config["reference"]
    return found


def _check_contracts(run: Run, as_of: datetime, now: datetime) -> None:
    """Where `monitoring.contracts_hours` have passed since the last time."""
    hours = run.settings.monitoring.contracts_hours
    done = run.lake.table("health").where(f"measure = '{CHECKED}'").agg({"measured_at": "max"}).first()
    if not hours or (done and done[0] and now - done[0] < timedelta(hours=hours)):
        return
    from wattcast.expectations import check, failures  # it takes seconds to import

    results = check(run.lake, as_of=as_of)
    append_health(run.lake, failures(results).assign(as_of=as_of))


def _retrain(run: Run, each: Look, because: set[str]) -> None:
    """Start a training that asks the gate, at most once in `monitoring.retrain_hours`."""
    since = each.now - timedelta(hours=run.settings.monitoring.retrain_hours)
    done = run.lake.table("health").where(f"measure = '{RETRAINED}'").agg({"measured_at": "max"}).first()
    if not because or (done and done[0] and done[0] > since):
        return
    out, logs = run.settings.state.resolve() / "retrained", run.settings.state.resolve() / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    append_health(
        run.lake, one_row(RETRAINED, "fleet", "fleet", 1, details=", ".join(sorted(because))).assign(as_of=each.at)
    )
    with (logs / "retrain.log").open("ab") as told:
        command = [sys.executable, str(project_folder("jobs") / "train.py"), "--out", str(out), "--promote"]
        subprocess.Popen(command, stdout=told, stderr=told, start_new_session=True)
    log.warning(
        "Training was started because of %s: %s says how it goes.", ", ".join(sorted(because)), logs / "retrain.log"
    )


@cache
def _exported() -> HealthMetrics:
    exported = HealthMetrics()
    REGISTRY.register(exported)
    return exported


@cache
def _hook(url: str, seconds: float, memory: Path) -> Webhook:
    return Webhook(url, seconds, memory)


def _webhook(run: Run) -> Webhook:
    alerts = run.settings.alerts
    memory = run.settings.state.resolve() / "webhook.json"
    return _hook(alerts.webhook.get_secret_value(), alerts.webhook_seconds, memory)


@cache
def _say_once(text: str) -> None:
    log.warning(text)


MONITOR = Job("monitor", monitor, evaluate)
ALERTS = Job("alerts", publish)

if __name__ == "__main__":
    run(MONITOR, ALERTS)
