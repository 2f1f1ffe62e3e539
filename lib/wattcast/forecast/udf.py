"""The inside of the forecast UDF: from one row per building to the forecasts of its pending origins. pandas and numpy only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from wattcast.forecast.columns import METADATA_COLUMNS, MODEL_COLUMNS, NO_MODEL, USAGE_COLUMNS, WEATHER_COLUMNS
from wattcast.forecast.context import Array, Building, Context, Forecast, ModelOf, Predictor
from wattcast.forecast.fallbacks import forecasts_with_fallbacks
from wattcast.forecast.history import END_OF_TIME_US, History, Issue, due_issues
from wattcast.forecast.origins import OriginSpan, issue_window
from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.setting_sections import ForecastingSettings
from wattcast.times import HOUR_US

MAX_FORECASTS_AT_ONCE = 1024
# One row per building. The quantiles of its forecasts follow each other in one array, `lead_hours` values each.
UDF_SCHEMA = ", ".join(
    [
        "origin array<bigint>", "issued_us array<bigint>", *(f"{column} array<double>" for column in QUANTILE_COLUMNS),
        "method array<string>", "warnings array<array<string>>", *(f"{column} string" for column in MODEL_COLUMNS),
    ]
)  # fmt: skip
UDF_COLUMNS = [field.split()[0] for field in UDF_SCHEMA.split(", ")]


@dataclass(frozen=True)
class _PendingBuilding:
    """The forecasts to issue for one building, their contexts, and the model of the building."""

    model: Predictor | None
    issues: list[Issue]
    contexts: list[Context]


@dataclass(frozen=True)
class ForecastUdf:
    """Plain and picklable, so that Spark sends it whole to the Python workers."""

    model_of: ModelOf
    span: OriginSpan
    options: ForecastingSettings
    clock_us: int
    max_wait_us: int

    def forecasts(self, batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """A frame in UDF_COLUMNS for each frame of `selection._building_rows`, row by row in the same order."""
        for batch in batches:
            yield pd.DataFrame.from_records(list(self._records(batch)), columns=UDF_COLUMNS)

    def _records(self, batch: pd.DataFrame) -> Iterator[dict[str, object]]:
        """One record per row of the batch, in order. A model receives as many forecasts at once as fit."""
        pending: list[_PendingBuilding] = []
        for row in batch.itertuples(index=False):
            pending.append(self._pending_building(row))
            if sum(len(building.issues) for building in pending) >= MAX_FORECASTS_AT_ONCE:
                yield from _forecast_records(pending)
                pending = []
        yield from _forecast_records(pending)

    def _pending_building(self, row: object) -> _PendingBuilding:
        building, site = _building(row), getattr(row, "site", None)
        model = self.model_of(building.building_id, site if isinstance(site, str) else "")
        usage, weather = _history(row, "", USAGE_COLUMNS), _history(row, "weather_", WEATHER_COLUMNS)
        origins = np.setdiff1d(self._origins(usage), self._issued_origins(row, model))
        issues = due_issues(
            usage, origins, clock_us=self.clock_us, max_wait_us=self.max_wait_us,
            active_within_hours=24 * self.options.heard_within_days, hindsight=self.span.hindsight,
        )  # fmt: skip
        return _PendingBuilding(model, issues, [self._context(building, usage, weather, issue) for issue in issues])

    def _origins(self, usage: History) -> Array:
        """The origins of the span, or of the building's issue window."""
        if self.span.catch_up_hours is None:
            first, last = (int(np.datetime64(time, "h").astype(np.int64)) for time in (self.span.first, self.span.last))
            return np.arange(first, last + 1)
        return issue_window(
            usage.hour, clock_us=self.clock_us, max_wait_us=self.max_wait_us, catch_up_hours=self.span.catch_up_hours
        )

    def _issued_origins(self, row: object, model: Predictor | None) -> Array:
        """The origins that need no further forecast: in a live span all that have one, else those that this model forecast."""
        origins = _array(row, "issued_origin", np.int64)
        if self.span.is_live:
            return origins
        name, version = _model_identity(model)
        names, versions = (_array(row, f"issued_{column}", object) for column in MODEL_COLUMNS)
        is_of_model: Array = (names == name) & (versions == version)
        return np.asarray(origins[is_of_model])

    def _context(self, building: Building, usage: History, weather: History, issue: Issue) -> Context:
        available_us = END_OF_TIME_US if self.span.hindsight else issue.issued_us
        hours = self.options.context_hours
        return Context(
            building=building,
            origin=issue.origin,
            past=usage.as_of(available_us, first_hour=issue.origin - hours, hours=hours),
            future=weather.as_of(available_us, first_hour=issue.origin, hours=self.options.lead_hours),
            is_late=not self.span.hindsight and issue.issued_us >= (issue.origin + 1) * HOUR_US,
        )


def _forecast_records(pending: list[_PendingBuilding]) -> Iterator[dict[str, object]]:
    """The record of each building; all buildings of one model are forecast together."""
    models = {id(building.model): building.model for building in pending}
    forecasts_by_model = {
        key: _forecasts([building for building in pending if building.model is model], model)
        for key, model in models.items()
    }
    for building in pending:
        forecasts = forecasts_by_model[id(building.model)]
        yield _record(building, [next(forecasts) for _ in building.issues])


def _forecasts(pending: list[_PendingBuilding], model: Predictor | None) -> Iterator[Forecast]:
    """The forecasts of one model, in order."""
    contexts = [context for building in pending for context in building.contexts]
    for start in range(0, len(contexts), MAX_FORECASTS_AT_ONCE):
        yield from forecasts_with_fallbacks(contexts[start : start + MAX_FORECASTS_AT_ONCE], model)


def _model_identity(model: Predictor | None) -> tuple[str, str]:
    return (model.name, model.version) if model else (NO_MODEL, NO_MODEL)


def _record(building: _PendingBuilding, forecasts: list[Forecast]) -> dict[str, object]:
    quantiles_kwh = (
        np.concatenate([forecast.quantiles_kwh for forecast in forecasts])
        if forecasts
        else np.empty((0, len(QUANTILE_COLUMNS)))
    )  # (forecasts * lead_hours, 3)
    return {
        "origin": np.array([issue.origin for issue in building.issues], dtype=np.int64),
        "issued_us": np.array([issue.issued_us for issue in building.issues], dtype=np.int64),
        **dict(zip(QUANTILE_COLUMNS, quantiles_kwh.astype(float).T, strict=True)),
        "method": [forecast.method for forecast in forecasts],
        "warnings": [list(forecast.warnings) for forecast in forecasts],
        **dict(zip(MODEL_COLUMNS, _model_identity(building.model), strict=True)),
    }


def _building(row: Any) -> Building:
    """The metadata of a row by `itertuples`, whose type depends on the columns."""
    metadata = {name: value for name in METADATA_COLUMNS if isinstance(value := getattr(row, name), str)}
    return Building(str(row.building_id), has_metadata=row.has_metadata is True, **metadata)


def _history(row: object, prefix: str, columns: Sequence[str]) -> History:
    hour, available_us = (_array(row, prefix + name, np.int64) for name in ("hour", "available_us"))
    return History(hour, available_us, np.stack([_array(row, prefix + name, np.float64) for name in columns], axis=1))


def _array(row: object, name: str, kind: type) -> Array:
    value = getattr(row, name)
    return np.asarray(value if value is not None else [], dtype=kind)
