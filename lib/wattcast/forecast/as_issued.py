"""A forecast as it was issued, with what was available then: read from the Delta tables without Spark."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from wattcast.forecast.columns import METADATA_COLUMNS, MODEL_COLUMNS, USAGE_COLUMNS, WEATHER_COLUMNS
from wattcast.forecast.context import Array, Building, Context
from wattcast.forecast.history import History
from wattcast.forecast.origins import LIVE
from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.lake.reader import table
from wattcast.quality_flags import UNUSABLE
from wattcast.settings import Settings
from wattcast.times import HOUR_US, epoch_us


@dataclass(frozen=True)
class ForecastAsIssued:
    """A row of `forecasts`, and the context that it was computed from."""

    context: Context
    site: str
    quantiles_kwh: Array  # (lead_hours, 3): P10, P50, P90
    method: str
    model_name: str
    model_version: str


def load_forecast_as_issued(
    building_id: str, settings: Settings, *, origin: datetime | None = None
) -> ForecastAsIssued:
    """The newest live forecast of a building, or the one from an origin (naive UTC).

    The hours and weather forecasts are those that had arrived at its issue time. Metadata are those of today, since the table
    `buildings` holds no others.

    Raises:
        ValueError: the building has no such forecast, or the lake cannot be read.
    """
    is_live = (ds.field("building_id") == building_id) & (ds.field("purpose") == LIVE)
    condition = is_live & (ds.field("origin") == origin.replace(tzinfo=UTC)) if origin else is_live
    columns = ["origin", "issued_at", "created_at", "method", *MODEL_COLUMNS, *QUANTILE_COLUMNS]
    forecasts = _rows(settings, "forecasts", condition, columns).sort_values(["origin", "created_at"])
    if forecasts.empty:
        with_origin = f" with origin {origin:%Y-%m-%d %H:%M} UTC" if origin else ""
        raise ValueError(f"The lake has no live forecast of building {building_id}{with_origin}.")
    row = forecasts.iloc[-1]
    quantiles_kwh = np.stack([row[column] for column in QUANTILE_COLUMNS], axis=1)
    building, site = _building(building_id, settings)
    context = _context(building, site, row["origin"], row["issued_at"], len(quantiles_kwh), settings)
    return ForecastAsIssued(context, site, quantiles_kwh, row["method"], row["model_name"], row["model_version"])


def _building(building_id: str, settings: Settings) -> tuple[Building, str]:
    """The metadata of the building, where the table has some, and its site, "" if unknown."""
    rows = _rows(settings, "buildings", ds.field("building_id") == building_id, ["site", *METADATA_COLUMNS])
    metadata = {str(name): value for name, value in rows.iloc[0].items() if isinstance(value, str)} if len(rows) else {}
    site = metadata.pop("site", "")
    return Building(building_id, has_metadata=len(rows) > 0, **metadata), site


def _context(
    building: Building, site: str, origin: pd.Timestamp, issued_at: pd.Timestamp, lead_hours: int, settings: Settings
) -> Context:
    """What was available at `issued_at` of the hours around `origin`."""
    hours, issued_us = settings.forecasting.context_hours, epoch_us(issued_at)
    hour, target_hour = ds.field("hour"), ds.field("target_hour")
    is_past = (hour >= origin - timedelta(hours=hours)) & (hour < origin)
    usage = _rows(
        settings, "hourly_usage", (ds.field("building_id") == building.building_id) & is_past,
        ["hour", "available_at", "coverage", "quality_flags", *USAGE_COLUMNS],
    )  # fmt: skip
    has_unusable_flag = usage["quality_flags"].map(lambda flags: not set(UNUSABLE).isdisjoint(flags)).astype(bool)
    is_usable = (usage["coverage"].fillna(1.0) >= 1) & ~has_unusable_flag
    usage[USAGE_COLUMNS[0]] = usage[USAGE_COLUMNS[0]].where(is_usable)
    is_ahead = (target_hour >= origin) & (target_hour < origin + timedelta(hours=lead_hours))
    weather = _rows(
        settings, "received_weather_forecasts", ds.field("accepted") & (ds.field("site") == site) & is_ahead,
        ["target_hour", "issued_at", "kafka_timestamp", *WEATHER_COLUMNS],
    )  # fmt: skip
    origin_hour = epoch_us(origin) // HOUR_US
    past = _history(usage, ["hour", "available_at"], USAGE_COLUMNS)
    future = _history(weather, ["target_hour", "issued_at", "kafka_timestamp"], WEATHER_COLUMNS)
    return Context(
        building=building,
        origin=origin_hour,
        past=past.as_of(issued_us, first_hour=origin_hour - hours, hours=hours),
        future=future.as_of(issued_us, first_hour=origin_hour, hours=lead_hours),
    )


def _history(rows: pd.DataFrame, order: Sequence[str], values: Sequence[str]) -> History:
    """The rows as revisions, sorted by the columns `order`: the first is the hour, the last the time of availability."""
    ordered = rows.sort_values(list(order))
    hour_us, available_us = (np.asarray(ordered[name].map(epoch_us), np.int64) for name in (order[0], order[-1]))
    return History(hour_us // HOUR_US, available_us, ordered[list(values)].to_numpy(np.float64))


def _rows(settings: Settings, name: str, condition: ds.Expression, columns: Sequence[str]) -> pd.DataFrame:
    """These columns of the rows that fulfil the condition, from the newest version of a table; times are in UTC."""
    rows: pd.DataFrame = table(settings.lake_uri, name).to_table(list(columns), filter=condition).to_pandas()
    return rows
