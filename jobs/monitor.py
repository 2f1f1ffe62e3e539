"""The monitor: measures the platform into `health`, raises and resolves alerts, and tells of them."""

import fcntl
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
from prometheus_client import REGISTRY
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.alerts import alert_rules, changes
from wattcast.contracts import contract
from wattcast.drift import Reference, UnreadableReference
from wattcast.forecasting import messages
from wattcast.job import Job, Run, append_health, run
from wattcast.measures import one_row
from wattcast.metrics import HealthMetrics
from wattcast.monitoring import CHECKED, arrival_clock, look, moment, open_alerts, values, worth_keeping
from wattcast.settings import project_folder
from wattcast.webhook import Webhook
from wattcast_models.champions import current_champions
from wattcast_models.registry import Registry

log = logging.getLogger("wattcast.monitor")

RETRAINED = "retraining_started"


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
    """Measure and tell, and once more where contracts were checked after that; returns how many alerts changed. Whatever becomes
    of a check, all other alerts are told before it."""
    count = measure_and_tell(run)
    return count + measure_and_tell(run) if check_contracts(run, this_machine()) else count


def measure_and_tell(run: Run) -> int:
    """One look: what is measured goes into `health`, what changed into `alerts`; returns how many alerts changed."""
    now = this_machine()
    as_of = arrival_clock(run.lake, now)
    if as_of is None:
        log.info("Nothing has arrived yet: there is nothing to measure.")
        return 0
    rules = alert_rules()
    each = look(run.lake, as_of, now)
    found = values(each, _reference(run))
    made: list[pd.DataFrame] = []

    def wanted(_existing: Any) -> DataFrame | None:
        made[:] = [changes(rules, moment(each, found, rules), now=pd.Timestamp(now))]
        return run.lake.frame("alerts", made[0]) if len(made[0]) else None

    count = run.lake.append("alerts", wanted)
    changed = made[0]
    for row in changed.to_dict("records"):
        log.warning("%s %s %s: %s", row["state"], row["rule"], row["subject"], row["message"])
    append_health(run.lake, worth_keeping(each, found, rules, changed))
    firing = open_alerts(run.lake)
    _exported().put(found, len(firing))
    _webhook(run).tell(run.lake.table("alerts"))
    if run.settings.monitoring.retrain_on_drift:
        retrain(run, now, {rule.name for rule in rules if rule.retrains} & set(firing["rule"]))
    return count


def this_machine() -> datetime:
    """Its time, in UTC, as Spark has times."""
    return datetime.now(UTC).replace(tzinfo=None)


def publish(run: Run) -> list[StreamingQuery]:
    """The table `alerts` is the outbox: each row becomes one message, at least once."""
    topic = run.settings.kafka.alerts_topic
    run.broker.ensure_topics([topic])
    rows = messages(run.lake.stream("alerts"), contract("alert-messages"), key="alert_id")
    return [run.lake.start(run.broker.sink(rows, topic), query="publish-alerts")]


def _reference(run: Run) -> Reference | None:
    """The training reference of the model that forecasts the buildings without a champion of their own; None, which is logged
    once, where it has none that can be read."""
    model = run.settings.model
    registry = Registry(run.settings.tracking_uri, model.registered_name)
    overall = current_champions(model.artifact, models=run.settings.state / "models", registry=registry).overall
    if overall is None or "reference" not in overall.config:
        who = f"{overall.name} {overall.version} has no training reference" if overall else "There is no model"
        _say_once(f"{who}: no drift of inputs is measured. `wattcast models reference` adds a reference.")
        return None
    try:
        return Reference.of(overall.config["reference"])
    except UnreadableReference as error:
        _say_once(f"{error} No drift of inputs is measured.")
        return None


def check_contracts(run: Run, now: datetime) -> bool:
    """Check them where `monitoring.contracts_hours` have passed since the last time; whether that was now."""
    hours = run.settings.monitoring.contracts_hours
    as_of = arrival_clock(run.lake, now)
    if as_of is None or not hours or _was_done(run, CHECKED, since=now - timedelta(hours=hours)):
        return False
    from wattcast.expectations import check, failures  # it takes seconds to import

    append_health(run.lake, failures(check(run.lake, as_of=as_of)).assign(as_of=now))
    return True


def retrain(run: Run, now: datetime, because: set[str]) -> None:
    """Start a training that asks the gate, at most once in `monitoring.retrain_hours` and one at a time."""
    since = now - timedelta(hours=run.settings.monitoring.retrain_hours)
    if not because or _was_done(run, RETRAINED, since=since):
        return
    why, state = ", ".join(sorted(because)), run.settings.state.resolve()
    logs = state / "logs" / "retrain.log"
    logs.parent.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, str(project_folder("jobs") / "train.py"), "--out", str(state / "retrained"), "--begin-anew", "--promote",
    ]  # fmt: skip
    with logs.open("ab") as told:
        try:
            fcntl.flock(told, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the training has it, too, and holds it until it ends
        except BlockingIOError:
            log.info("A training is asked for by %s, but the last one goes on.", why)
            return
        append_health(run.lake, one_row(RETRAINED, "fleet", "fleet", 1, details=why).assign(as_of=now))
        subprocess.Popen(command, stdout=told, stderr=told, start_new_session=True)
    log.warning("Training was started because of %s: %s says how it goes.", why, logs)


def _was_done(run: Run, what: str, *, since: datetime) -> bool:
    """Whether `health` tells of it after a time of this machine."""
    health = run.lake.table("health")
    return not health.where((F.col("measure") == what) & (F.col("as_of") > F.lit(since))).isEmpty()


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
