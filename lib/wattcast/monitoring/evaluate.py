"""The monitor: each evaluation measures the platform into `health`, writes changed alerts into `alerts` and delivers them."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Protocol

import pandas as pd
from prometheus_client import REGISTRY
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from wattcast.monitoring.alerting.alerts import alert_changes
from wattcast.monitoring.alerting.rules import AlertRule, load_alert_rules
from wattcast.monitoring.alerting.webhook import Webhook
from wattcast.monitoring.collect import compute
from wattcast.monitoring.context import (
    CONTRACT_FAILURES,
    MonitoringContext,
    alert_inputs,
    monitoring_context,
    newest_arrival,
    open_alerts,
)
from wattcast.monitoring.exporter import HealthMetrics
from wattcast.monitoring.measures.drift import TrainingReference, UnreadableReference
from wattcast.monitoring.persistence import rows_to_persist
from wattcast.runtime.context import Run
from wattcast.runtime.health import append_health
from wattcast.times import now_utc

log = logging.getLogger("wattcast.monitor")


class Champion(Protocol):
    """What the monitor reads of the model that forecasts; its config may hold a training reference."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def config(self) -> Mapping[str, Any]: ...


class Monitor:
    """Evaluates a lake again and again. `load_champion` returns the model that forecasts buildings without a champion of their
    own, None where there is none; it is called at each evaluation, so that a promotion takes effect."""

    def __init__(self, run: Run, load_champion: Callable[[], Champion | None]) -> None:
        alerts, state = run.settings.alerts, run.settings.state.resolve()
        self._run, self._load_champion = run, load_champion
        self._metrics = HealthMetrics()
        self._webhook = Webhook(alerts.webhook.get_secret_value(), alerts.webhook_seconds, state / "webhook.json")
        self._logged: set[str] = set()
        if run.settings.monitoring.retrain_on_drift:
            log.warning(
                "monitoring.retrain_on_drift is set, but the monitor no longer starts trainings: schedule `wattcast retrain`, "
                "which trains while an alert of a rule with `retrains` is open."
            )

    def start(self) -> StreamingQuery:
        """Export the measurements, and evaluate at once and then every `monitoring.interval_seconds`."""
        REGISTRY.register(self._metrics)
        due = 0.0

        def evaluate_when_due(_batch: DataFrame, _batch_id: int) -> None:
            nonlocal due
            if monotonic() >= due:
                due = monotonic() + self._run.settings.monitoring.interval_seconds
                self.evaluate()

        seconds = self._run.spark.readStream.format("rate").option("rowsPerSecond", 1).load()
        return self._run.streams.start(seconds.writeStream.foreachBatch(evaluate_when_due), query="monitor")

    def evaluate(self) -> int:
        """The number of changed alerts. Contracts are checked last, so that a failing check delays no other alert; after a check
        the platform is evaluated again, with the contract failures."""
        count = self._evaluate_once()
        return count + self._evaluate_once() if self.check_contracts(now_utc()) else count

    def check_contracts(self, now: datetime) -> bool:
        """Check the tables against their contracts if the last check is `monitoring.contracts_hours` ago; whether it was done."""
        hours = self._run.settings.monitoring.contracts_hours
        as_of = newest_arrival(self._run.lake, now)
        if as_of is None or not hours or self._were_contracts_checked(since=now - timedelta(hours=hours)):
            return False
        from wattcast.monitoring.measures.contract_checks import (  # takes seconds to import
            check_tables,
            failure_measurements,
        )

        failures = failure_measurements(check_tables(self._run.lake, as_of=as_of))
        append_health(self._run.lake, failures.assign(as_of=now))
        return True

    def _evaluate_once(self) -> int:
        now = now_utc()
        as_of = newest_arrival(self._run.lake, now)
        if as_of is None:
            log.info("No record has arrived yet: there is nothing to measure.")
            return 0
        rules = load_alert_rules()
        ctx = monitoring_context(self._run.lake, as_of, now)
        values = compute(ctx, self._training_reference())
        changes = self._append_alert_changes(ctx, values, rules)
        append_health(self._run.lake, rows_to_persist(ctx, values, rules, changes))
        self._metrics.put(values, len(open_alerts(self._run.lake)))
        self._webhook.deliver(self._run.lake.table("alerts"))
        return len(changes)

    def _append_alert_changes(
        self, ctx: MonitoringContext, values: pd.DataFrame, rules: tuple[AlertRule, ...]
    ) -> pd.DataFrame:
        """Append and log what changes. The changes follow from the open alerts, so they are computed while no other process
        writes the table."""
        changes = pd.DataFrame()

        def rows_to_append(_existing: Any) -> DataFrame | None:
            nonlocal changes
            changes = alert_changes(rules, alert_inputs(ctx, values, rules))
            return ctx.lake.frame("alerts", changes) if len(changes) else None

        ctx.lake.append("alerts", rows_to_append)
        for row in changes.to_dict("records"):
            log.warning("%s %s %s: %s", row["state"], row["rule"], row["subject"], row["message"])
        return changes

    def _training_reference(self) -> TrainingReference | None:
        """The training reference of the champion; None, with one log line, where it has none that can be read."""
        champion = self._load_champion()
        if champion is None or "reference" not in champion.config:
            reason = (
                f"{champion.name} {champion.version} has no training reference" if champion else "There is no model"
            )
            self._log_once(
                f"{reason}: no input drift is measured. `wattcast models reference` adds a reference to a model."
            )
            return None
        try:
            return TrainingReference.parse(champion.config["reference"])
        except UnreadableReference as error:
            self._log_once(f"{error} No input drift is measured.")
            return None

    def _were_contracts_checked(self, *, since: datetime) -> bool:
        is_check = (F.col("measure") == CONTRACT_FAILURES) & (F.col("as_of") > F.lit(since))
        return not self._run.lake.table("health").where(is_check).isEmpty()

    def _log_once(self, text: str) -> None:
        if text not in self._logged:
            self._logged.add(text)
            log.warning(text)
