"""Whether a model should be trained again: open alerts of rules with `retrains`, and when the last training started.

Read and written with delta-rs, without Spark, so that a schedule can ask often.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import write_deltalake

from wattcast.lake.lock_choice import choose_locks
from wattcast.lake.locks import LakeLocks
from wattcast.lake.reader import lake_location, table
from wattcast.measurements import FLEET
from wattcast.monitoring.alerting.alerts import FIRING
from wattcast.monitoring.alerting.rules import load_alert_rules
from wattcast.settings import Settings

RETRAINING_STARTED = "retraining_started"  # the measure in `health`
FORCED = "--force"


@dataclass(frozen=True)
class RetrainingDecision:
    """Whether to train, and why or why not in one sentence. `causes` are the rules whose alerts are open, or FORCED."""

    is_due: bool
    reason: str
    causes: tuple[str, ...] = ()


def retraining_decision(settings: Settings, now: datetime, *, force: bool = False) -> RetrainingDecision:
    """Train if an alert of a rule with `retrains` is open and no training started in the last `monitoring.retrain_hours`; with
    `force` in any case.

    Raises:
        TableUnreadable: the lake has no such tables yet, or cannot be read.
    """
    if force:
        return RetrainingDecision(True, f"Training, because of {FORCED}.", (FORCED,))
    rules = open_retraining_rules(settings.lake_uri)
    if not rules:
        return RetrainingDecision(False, "Not training: no alert that calls for a new model is open.")
    hours = settings.monitoring.retrain_hours
    last = last_training_start(settings.lake_uri, after=now - timedelta(hours=hours))
    if last is not None:
        return RetrainingDecision(
            False,
            f"Not training: the last training started at {last:%Y-%m-%d %H:%M} UTC, less than {hours} hours ago "
            "(monitoring.retrain_hours). Use --force to train anyway.",
        )
    return RetrainingDecision(True, f"Training, because these alerts are open: {', '.join(rules)}.", rules)


def open_retraining_rules(lake_uri: str) -> tuple[str, ...]:
    """The names of the rules with `retrains` that have an open alert."""
    retraining = {rule.name for rule in load_alert_rules() if rule.retrains}
    columns = ["alert_id", "rule", "state", "changed_at"]
    changes = table(lake_uri, "alerts").to_table(columns, filter=ds.field("rule").isin(sorted(retraining))).to_pandas()
    newest = changes.sort_values(["changed_at", "state"]).drop_duplicates("alert_id", keep="last")
    return tuple(sorted(set(newest.loc[newest["state"] == FIRING, "rule"])))


def last_training_start(lake_uri: str, *, after: datetime) -> datetime | None:
    """The newest start after a time, by the clock of the machine that trained; None for none."""
    is_recent_start = (ds.field("measure") == RETRAINING_STARTED) & (ds.field("as_of") > after)
    starts = table(lake_uri, "health").to_table(["as_of"], filter=is_recent_start)["as_of"].to_pylist()
    return max(starts, default=None)


def record_training_start(settings: Settings, now: datetime, causes: tuple[str, ...]) -> None:
    """Append the start of a training to `health`, under the write lock of the table.

    Raises:
        TableHasAWriter: another process does not release the table.
    """
    row = {
        "as_of": now, "measure": RETRAINING_STARTED, "scope": FLEET, "subject": FLEET, "value": 1.0, "samples": None,
        "details": ", ".join(causes), "measured_at": datetime.now(UTC),
    }  # fmt: skip
    lake_locks = LakeLocks(partial(choose_locks, settings))
    try:
        with lake_locks.write_lock("health"):
            uri, options = lake_location(settings.lake_uri)
            rows = pa.Table.from_pylist([row], table(settings.lake_uri, "health").schema)
            write_deltalake(f"{uri}/health", rows, mode="append", storage_options=options)
    finally:
        lake_locks.close()
