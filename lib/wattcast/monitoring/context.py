"""What one evaluation of the monitor works with: the lake, its times, and the measurements of the evaluations before."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wattcast.lake.newest import newest_rows
from wattcast.lake.tables import LakeTables
from wattcast.measurements import MACHINE_TIME_MEASURES, MEASUREMENT_COLUMNS, SLOW_MEASURES
from wattcast.monitoring.alerting.alerts import FIRING, HISTORY, AlertInputs, subjects_needing_history
from wattcast.monitoring.alerting.rules import AlertRule
from wattcast.monitoring.measures.meter_health import AGES

CONTRACT_FAILURES = "contract_failures"
KEY = ["measure", "scope", "subject"]


@dataclass(frozen=True)
class MonitoringContext:
    """One evaluation. `as_of` is on the clock of the readings, `now` on that of this machine. `latest` has, for the measures that
    are continued from earlier evaluations, the newest row of each subject in `measurement_history`."""

    lake: LakeTables
    as_of: datetime
    now: datetime
    latest: pd.DataFrame

    @property
    def at(self) -> pd.Timestamp:
        return pd.Timestamp(self.as_of)

    @property
    def is_slow_due(self) -> bool:
        """Whether SLOW_MEASURES are computed now and not taken from the evaluation before."""
        computed_at = self.previous(*SLOW_MEASURES, columns=["as_of"])["as_of"]
        interval = pd.Timedelta(minutes=self.lake.settings.monitoring.slow_minutes)
        return bool(computed_at.empty or self.at - computed_at.max() >= interval)

    def previous(self, *measures: str, columns: list[str] = MEASUREMENT_COLUMNS) -> pd.DataFrame:
        """The newest earlier row of each subject, of these measures."""
        rows: pd.DataFrame = self.latest.loc[self.latest["measure"].isin(measures), columns]
        return rows


def monitoring_context(lake: LakeTables, as_of: datetime, now: datetime) -> MonitoringContext:
    history = measurement_history(lake, as_of, now)
    continued = history.where(F.col("measure").isin(*AGES, *SLOW_MEASURES, *MACHINE_TIME_MEASURES))
    newest = F.max(F.struct("as_of", "measured_at", "value", "samples", "details")).alias("newest")
    return MonitoringContext(lake, as_of, now, continued.groupBy(*KEY).agg(newest).select(*KEY, "newest.*").toPandas())


def newest_arrival(lake: LakeTables, now: datetime) -> datetime | None:
    """The arrival of the newest record; with `forecasting.clock: wall` not before `now`. None while nothing has arrived.

    Records that are stamped more than `idle_partition_minutes` ahead of the hours do not count, as for the hours themselves:
    otherwise all other buildings would be silent.
    """
    tables = [lake.snapshot(name) for name in ("received_readings", "received_weather_forecasts")]
    newest = max(filter(None, (lake.newest_times(table, "kafka_timestamp")[0] for table in tables)), default=None)
    if lake.settings.forecasting.clock == "wall":
        return max(now, newest or now)
    (as_of,) = lake.newest_times(lake.snapshot("hourly_usage"), "as_of")
    limit = as_of and as_of + timedelta(minutes=lake.settings.closing.idle_partition_minutes)
    if not newest or not limit or newest <= limit:
        return newest
    in_time = (table.frame.where(F.col("kafka_timestamp") <= F.lit(limit)) for table in tables)
    arrivals = (frame.agg(F.max("kafka_timestamp")).collect()[0][0] for frame in in_time)
    return max(filter(None, arrivals), default=as_of)


def measurement_history(lake: LakeTables, as_of: datetime, now: datetime) -> DataFrame:
    """The rows of `health` of the HISTORY before, and of the last contract check. The `as_of` of rows with this machine's time is
    moved to the clock of the readings: as long before `as_of` as the row is before `now`."""
    since_check = HISTORY + timedelta(hours=lake.settings.monitoring.contracts_hours)
    has_machine_time = F.col("measure").isin(*MACHINE_TIME_MEASURES)
    is_contract_check = F.col("measure") == CONTRACT_FAILURES
    is_recent = (
        (~has_machine_time & is_between("as_of", as_of - HISTORY, as_of))
        | (has_machine_time & is_between("as_of", now - HISTORY, now))
        | (is_contract_check & is_between("as_of", now - since_check, now))
    )
    on_reading_clock = F.when(has_machine_time, F.col("as_of") + F.lit(as_of - now)).otherwise(F.col("as_of"))
    return lake.table("health").where(is_recent).withColumn("as_of", on_reading_clock)


def alert_inputs(ctx: MonitoringContext, values: pd.DataFrame, rules: tuple[AlertRule, ...]) -> AlertInputs:
    """What the alert rules read: the values of this evaluation, their history, and the open alerts."""
    opened = open_alerts(ctx.lake)
    history = _history_of(ctx, rules, subjects_needing_history(rules, values, opened))
    return AlertInputs(ctx.at, values, history, opened, pd.Timestamp(ctx.now))


def open_alerts(lake: LakeTables) -> pd.DataFrame:
    """The firing alerts, in the columns of `alerts`."""
    newest_first = [F.col("changed_at").desc(), F.col("state").desc()]
    states = newest_rows(lake.table("alerts"), key=["alert_id"], order=newest_first)
    return states.where(F.col("state") == FIRING).toPandas()


def is_between(column: str, after: datetime, until: datetime) -> Column:
    """Whether a time lies after the first and not after the second."""
    return (F.col(column) > F.lit(after)) & (F.col(column) <= F.lit(until))


def _history_of(ctx: MonitoringContext, rules: tuple[AlertRule, ...], subjects: set[str]) -> pd.DataFrame:
    """The earlier values of the measures of the rules, of these subjects."""
    before = measurement_history(ctx.lake, ctx.as_of, ctx.now).where(F.col("as_of") < F.lit(ctx.as_of))
    of_rules = before.where(F.col("measure").isin(*{rule.measure for rule in rules})).select("as_of", *KEY, "value")
    names = ctx.lake.spark.createDataFrame([(name,) for name in sorted(subjects)], "subject string")
    return of_rules.join(F.broadcast(names), on="subject", how="left_semi").toPandas()
