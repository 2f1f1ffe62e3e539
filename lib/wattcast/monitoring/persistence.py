"""Which measurements of an evaluation become rows of `health`: all of them once an hour, in between only the notable ones."""

import pandas as pd

from wattcast.measurements import MACHINE_TIME_MEASURES, QUERY_MEASURES, SLOW_MEASURES
from wattcast.monitoring.alerting.rules import AlertRule
from wattcast.monitoring.context import CONTRACT_FAILURES, MonitoringContext

NUMEROUS_SCOPES = ("building", "device")


def rows_to_persist(
    ctx: MonitoringContext, values: pd.DataFrame, rules: tuple[AlertRule, ...], changes: pd.DataFrame
) -> pd.DataFrame:
    """The rows for `health`, with their `as_of`: once an hour all values; in between those of scopes with few subjects, those
    beyond a limit, and those of subjects with a changed alert. Never a value that was read from `health`."""
    has_machine_time = values["measure"].isin(MACHINE_TIME_MEASURES)
    values = values.assign(as_of=pd.Series(ctx.at, values.index).mask(has_machine_time, pd.Timestamp(ctx.now)))
    is_computed = ~values["measure"].isin(
        [*QUERY_MEASURES, CONTRACT_FAILURES, *(() if ctx.is_slow_due else SLOW_MEASURES)]
    )
    if _is_full_write_due(ctx):
        return values[is_computed]
    is_notable = ~values["scope"].isin(NUMEROUS_SCOPES)
    for rule in rules:
        is_of_rule = (values["measure"] == rule.measure) & (values["scope"] == rule.scope)
        is_notable |= is_of_rule & ~values["value"].map(rule.is_clear).astype(bool)
    changed_subjects = set(changes["subject"]) if len(changes) else set()
    return values[is_computed & (is_notable | values["subject"].isin(changed_subjects))]


def _is_full_write_due(ctx: MonitoringContext) -> bool:
    """Whether no evaluation of this hour has written all values, or SLOW_MEASURES are new."""
    written_at = ctx.previous("meter_silent_minutes", columns=["as_of"])["as_of"]
    return bool(written_at.empty or ctx.is_slow_due or written_at.max().floor("h") < ctx.at.floor("h"))
