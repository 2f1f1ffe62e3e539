"""Forecasts that should exist, less those that do: from hourly usage, metadata and weather forecasts, by a model or the ladder.

Live issuing, catching up after an outage and backfilling are this one function over different spans of origins.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from wattcast.contexts import EVER_US, HOUR_US, History, Issue, issues
from wattcast.contracts import Contract
from wattcast.ladder import Array, Building, Context, Forecast, Predictor, forecast
from wattcast.settings import ForecastingSettings

LIVE = "live"
NO_MODEL = "none"
FORECASTS_AT_ONCE = 1024
LEVELS = ("p10", "p50", "p90")
VALUES = ["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"]
WEATHER = ["temperature_c", "humidity_pct"]
METADATA = ["timezone", "country", "building_type", "closures"]
MODEL = ["model_name", "model_version"]
MADE = (
    "origin array<bigint>, issued_us array<bigint>, p10_kwh array<double>, p50_kwh array<double>, p90_kwh array<double>, "
    "method array<string>, warnings array<array<string>>, model_name string, model_version string"
)

ModelOf = Callable[
    [str, str], Predictor | None
]  # which model forecasts a building, by its id and its site ("" if unknown)


@dataclass(frozen=True)
class Span:
    """Origins from `first` to `last`, both included, on whole hours (naive UTC), of one purpose."""

    first: datetime
    last: datetime
    purpose: str = LIVE
    hindsight: bool = False

    @property
    def is_live(self) -> bool:
        return self.purpose == LIVE


def live_span(*, newest_hour: datetime, clock: datetime, max_wait: timedelta, catch_up_hours: int) -> Span:
    """The issue window: the newest origin of the fleet, by its newest hour or by waiting, and `catch_up_hours` before it."""
    waited = (clock - max_wait).replace(minute=0, second=0, microsecond=0)
    last = max(newest_hour + timedelta(hours=1), waited)
    return Span(last - timedelta(hours=catch_up_hours - 1), last)


def wanted_forecasts(
    hourly: DataFrame,
    span: Span,
    *,
    existing: DataFrame,
    buildings: DataFrame,
    weather: DataFrame,
    model_of: ModelOf,
    clock: datetime,
    max_wait: timedelta,
    options: ForecastingSettings,
) -> DataFrame:
    """The rows of `forecasts` that `existing` lacks in `span`: an origin is issued once per purpose, and in a backfill once per
    model version. `weather` has the accepted rows of received weather forecasts; `clock` is the newest knowledge. `model_of`
    travels to the Python workers."""
    issued = existing.where(
        (F.col("purpose") == span.purpose) & F.col("origin").between(F.lit(span.first), F.lit(span.last))
    )
    requests = _requests(hourly, issued, buildings, weather, span, options)
    maker = _Maker(model_of, span, options, _micros(clock), int(max_wait / timedelta(microseconds=1)))
    made_of = pandas_udf(maker.forecasts, MADE)  # type: ignore[call-overload]  # the stubs lack an iterator of frames
    made = requests.select("building_id", made_of(F.struct("*")).alias("made"))
    return _rows(made, span.purpose, options.lead_hours)


def messages(forecasts: DataFrame, contract: Contract, *, key: str = "building_id") -> DataFrame:
    """(key, value): rows, such as forecasts, as JSON messages of the contract, keyed by one of their columns."""
    times = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS'Z'"
    body = forecasts.withColumn("schema_version", F.lit(contract.major)).select(*contract.column_names)
    value = F.to_json(F.struct("*"), {"timestampFormat": times, "ignoreNullFields": "false"})
    return body.select(F.col(key).cast("binary").alias("key"), value.cast("binary").alias("value"))


def _requests(
    hourly: DataFrame,
    issued: DataFrame,
    buildings: DataFrame,
    weather: DataFrame,
    span: Span,
    options: ForecastingSettings,
) -> DataFrame:
    """One row per building heard in or before the span: its hours as arrays, the origins it has and from which model, metadata
    and weather."""
    back = timedelta(hours=max(options.context_hours, 24 * options.heard_within_days))
    is_near = (F.col("hour") >= F.lit(span.first - back)) & (F.col("hour") < F.lit(span.last))
    complete = F.when(F.coalesce(F.col("coverage"), F.lit(1.0)) >= 1, F.col("energy_usage_kwh"))
    row = F.struct(
        _hours("hour").alias("hour"), F.unix_micros("available_at").alias("available_us"),
        complete.cast("double").alias(VALUES[0]), *(F.col(name).cast("double").alias(name) for name in VALUES[1:]),
    )  # fmt: skip
    history = hourly.where(is_near).groupBy("building_id").agg(F.sort_array(F.collect_list(row)).alias("history"))
    each = F.struct(_hours("origin").alias("origin"), *MODEL)
    done = issued.groupBy("building_id").agg(F.collect_set(each).alias("issued"))
    known = buildings.select("building_id", "site", *METADATA, F.lit(True).alias("is_known"))
    expected = _site_weather(weather, span, options)
    return (
        history.join(done, on="building_id", how="left")
        .join(F.broadcast(known), on="building_id", how="left")
        .join(F.broadcast(expected), on="site", how="left")
        .select(
            "building_id", "site", *METADATA, "is_known",
            *(F.col(f"issued.{name}").alias(f"issued_{name}") for name in ["origin", *MODEL]),
            *(F.col(f"weather.{name}").alias(f"weather_{name}") for name in ["hour", "available_us", *WEATHER]),
            *(F.col(f"history.{name}").alias(name) for name in ["hour", "available_us", *VALUES]),
        )
    )  # fmt: skip


def _site_weather(weather: DataFrame, span: Span, options: ForecastingSettings) -> DataFrame:
    ahead = F.lit(span.last + timedelta(hours=options.lead_hours))
    is_near = (F.col("target_hour") >= F.lit(span.first)) & (F.col("target_hour") < ahead)
    row = F.struct(
        _hours("target_hour").alias("hour"), F.unix_micros("issued_at").alias("issued_us"),
        F.unix_micros("kafka_timestamp").alias("available_us"), *(F.col(name).cast("double").alias(name) for name in WEATHER),
    )  # fmt: skip
    return weather.where(is_near).groupBy("site").agg(F.sort_array(F.collect_list(row)).alias("weather"))


def _rows(made: DataFrame, purpose: str, lead_hours: int) -> DataFrame:
    """One row per forecast out of one row per building.

    The forecasts are cut out of the building's arrays before the explode: after it, every forecast would carry all of
    them, which for a catch-up of n origins is n copies of n forecasts.
    """

    def one(origin_hour: Column, at: Column) -> Column:
        hours = F.lit(lead_hours)
        return F.struct(
            origin_hour.alias("origin_hour"),
            *(F.col(f"made.{name}")[at].alias(name) for name in ("issued_us", "method", "warnings")),
            *(F.slice(F.col(f"made.{level}_kwh"), at * hours + 1, hours).alias(f"{level}_kwh") for level in LEVELS),
        )

    forecasts = F.explode(F.transform("made.origin", one)).alias("each")
    each = made.select("building_id", *(f"made.{name}" for name in MODEL), forecasts).select(
        "building_id", *MODEL, "each.*"
    )
    origin = F.timestamp_seconds(F.col("origin_hour") * 3600)
    identity = F.concat_ws("|", "building_id", F.unix_seconds(origin), F.lit(purpose), *MODEL)
    return each.select(
        F.substring(F.sha2(identity, 256), 1, 32).alias("forecast_id"),
        "building_id",
        origin.alias("origin"),
        F.lit(purpose).alias("purpose"),
        F.timestamp_micros("issued_us").alias("issued_at"),
        F.transform(
            F.sequence(F.lit(0), F.lit(lead_hours - 1)),
            lambda lead: F.timestamp_seconds((F.col("origin_hour") + lead) * 3600),
        ).alias("target_hour"),
        *(f"{level}_kwh" for level in LEVELS),
        "method",
        *MODEL,
        "warnings",
        F.current_timestamp().alias("created_at"),
    )


def _hours(column: str) -> Column:
    return F.floor(F.unix_seconds(column) / 3600)


def _micros(time: datetime) -> int:
    return int(np.datetime64(time, "us").astype(np.int64))


@dataclass(frozen=True)
class _Wanted:
    """What is to be forecast for one building, by which model."""

    model: Predictor | None
    issues: list[Issue]
    contexts: list[Context]


@dataclass(frozen=True)
class _Maker:
    """The inside of the UDF: plain and picklable, so that the Python workers get it whole."""

    model_of: ModelOf
    span: Span
    options: ForecastingSettings
    clock_us: int
    max_wait_us: int

    def forecasts(self, batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            yield pd.DataFrame.from_records(
                list(self._buildings(batch)), columns=[part.split()[0] for part in MADE.split(", ")]
            )

    def _buildings(self, batch: pd.DataFrame) -> Iterator[dict[str, object]]:
        """One dict per row of the batch, in order; a model sees as many forecasts at once as fit."""
        waiting: list[_Wanted] = []
        for row in batch.itertuples(index=False):
            waiting.append(self._wanted(row))
            if sum(len(each.issues) for each in waiting) >= FORECASTS_AT_ONCE:
                yield from self._made(waiting)
                waiting = []
        yield from self._made(waiting)

    def _wanted(self, row: object) -> _Wanted:
        building, site = _building(row), getattr(row, "site", None)
        model = self.model_of(building.building_id, site if isinstance(site, str) else "")
        history, weather = _history(row, "", VALUES), _history(row, "weather_", WEATHER)
        first, last = (int(np.datetime64(each, "h").astype(np.int64)) for each in (self.span.first, self.span.last))
        wanted = issues(
            history, np.setdiff1d(np.arange(first, last + 1), self._issued(row, model)),
            clock_us=self.clock_us, max_wait_us=self.max_wait_us,
            heard_within_hours=24 * self.options.heard_within_days, hindsight=self.span.hindsight,
        )  # fmt: skip
        return _Wanted(model, wanted, [self._context(building, history, weather, issue) for issue in wanted])

    def _issued(self, row: object, model: Predictor | None) -> Array:
        """The origins that need no other forecast: of a live span all that have one, else those that this model made."""
        origins = _array(row, "issued_origin", np.int64)
        if self.span.is_live:
            return origins
        name, version = _identity(model)
        names, versions = (_array(row, f"issued_{column}", object) for column in MODEL)
        is_by_it: Array = (names == name) & (versions == version)
        return np.asarray(origins[is_by_it])

    def _context(self, building: Building, history: History, weather: History, issue: Issue) -> Context:
        hours, leads = self.options.context_hours, self.options.lead_hours
        known_us = EVER_US if self.span.hindsight else issue.at_us
        return Context(
            building=building,
            origin=issue.origin,
            past=history.known(issue.origin - hours, hours, at_us=known_us),
            future=weather.known(issue.origin, leads, at_us=known_us),
            is_late=not self.span.hindsight and issue.at_us >= (issue.origin + 1) * HOUR_US,
        )

    def _made(self, waiting: list[_Wanted]) -> Iterator[dict[str, object]]:
        models = {id(each.model): each.model for each in waiting}
        made = {key: self._forecasts([w for w in waiting if w.model is model], model) for key, model in models.items()}
        for each in waiting:
            yield _record(each, [next(made[id(each.model)]) for _ in each.issues])

    def _forecasts(self, waiting: list[_Wanted], model: Predictor | None) -> Iterator[Forecast]:
        """The forecasts of one model, in order."""
        contexts = [context for each in waiting for context in each.contexts]
        for start in range(0, len(contexts), FORECASTS_AT_ONCE):
            yield from forecast(contexts[start : start + FORECASTS_AT_ONCE], model)


def _identity(model: Predictor | None) -> tuple[str, str]:
    return (model.name, model.version) if model else (NO_MODEL, NO_MODEL)


def _record(wanted: _Wanted, results: list[Forecast]) -> dict[str, object]:
    name, version = _identity(wanted.model)
    levels = np.concatenate([r.quantiles_kwh for r in results]) if results else np.empty((0, 3))
    return {
        "origin": np.array([issue.origin for issue in wanted.issues], dtype=np.int64),
        "issued_us": np.array([issue.at_us for issue in wanted.issues], dtype=np.int64),
        "p10_kwh": levels[:, 0].astype(float),
        "p50_kwh": levels[:, 1].astype(float),
        "p90_kwh": levels[:, 2].astype(float),
        "method": [r.method for r in results],
        "warnings": [list(r.warnings) for r in results],
        "model_name": name,
        "model_version": version,
    }


def _building(row: object) -> Building:
    known = {name: value for name in METADATA if isinstance(value := getattr(row, name), str)}
    return Building(str(row.building_id), is_known=bool(row.is_known is True), **known)  # type: ignore[attr-defined]


def _history(row: object, prefix: str, names: list[str]) -> History:
    hour, available = (_array(row, prefix + name, np.int64) for name in ("hour", "available_us"))
    return History(hour, available, np.stack([_array(row, prefix + name, np.float64) for name in names], axis=1))


def _array(row: object, name: str, kind: type) -> Array:
    value = getattr(row, name)
    return np.asarray(value if value is not None else [], dtype=kind)
