"""A forecast that was issued, and what was known when it was: read from the Delta tables without Spark."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from wattcast.contexts import HOUR_US, History
from wattcast.forecasting import LEVELS, LIVE, METADATA, MODEL, VALUES, WEATHER
from wattcast.ladder import Array, Building, Context
from wattcast.settings import Settings
from wattcast.tables import table


@dataclass(frozen=True)
class Issued:
    """A row of `forecasts`, and the context that it was made from."""

    context: Context
    site: str
    quantiles_kwh: Array  # (lead_hours, 3): P10, P50, P90
    method: str
    model_name: str
    model_version: str


def issued(building_id: str, settings: Settings, *, origin: datetime | None = None) -> Issued:
    """The newest live forecast of a building, or that from an origin (naive UTC).

    The hours and the weather forecasts are those that had arrived when it was issued; metadata are those of today, since
    the table `buildings` holds no others. ValueError when there is none or the lake cannot be read.
    """
    live = (ds.field("building_id") == building_id) & (ds.field("purpose") == LIVE)
    wanted = live & (ds.field("origin") == origin.replace(tzinfo=UTC)) if origin else live
    columns = ["origin", "issued_at", "created_at", "method", *MODEL, *(f"{level}_kwh" for level in LEVELS)]
    found = _rows(settings, "forecasts", wanted, columns).sort_values(["origin", "created_at"])
    if found.empty:
        at = f" from {origin:%Y-%m-%d %H:%M} UTC" if origin else ""
        raise ValueError(f"The lake has no live forecast{at} of a building {building_id}.")
    row = found.iloc[-1]
    quantiles = np.stack([row[f"{level}_kwh"] for level in LEVELS], axis=1)
    building, site = _building(building_id, settings)
    context = _context(building, site, row["origin"], row["issued_at"], len(quantiles), settings)
    return Issued(context, site, quantiles, row["method"], row["model_name"], row["model_version"])


def _building(building_id: str, settings: Settings) -> tuple[Building, str]:
    """The metadata, as far as there are any, and the site, "" if unknown."""
    found = _rows(settings, "buildings", ds.field("building_id") == building_id, ["site", *METADATA])
    known = {name: value for name, value in found.iloc[0].items() if isinstance(value, str)} if len(found) else {}
    site = known.pop("site", "")
    return Building(building_id, is_known=len(found) > 0, **{str(name): value for name, value in known.items()}), site


def _context(
    building: Building, site: str, origin: pd.Timestamp, issued_at: pd.Timestamp, lead_hours: int, settings: Settings
) -> Context:
    """What was known of the hours around `origin` at `issued_at`."""
    hours, at_us = settings.forecasting.context_hours, _micros(issued_at)
    hour, target = ds.field("hour"), ds.field("target_hour")
    is_past = (hour >= origin - timedelta(hours=hours)) & (hour < origin)
    usage = _rows(
        settings, "hourly_usage", (ds.field("building_id") == building.building_id) & is_past,
        ["hour", "available_at", "coverage", *VALUES],
    )  # fmt: skip
    usage[VALUES[0]] = usage[VALUES[0]].where(usage["coverage"].fillna(1.0) >= 1)
    is_ahead = (target >= origin) & (target < origin + timedelta(hours=lead_hours))
    weather = _rows(
        settings, "received_weather_forecasts", ds.field("accepted") & (ds.field("site") == site) & is_ahead,
        ["target_hour", "issued_at", "kafka_timestamp", *WEATHER],
    )  # fmt: skip
    first = _micros(origin) // HOUR_US
    return Context(
        building=building,
        origin=first,
        past=_history(usage, ["hour", "available_at"], VALUES).known(first - hours, hours, at_us=at_us),
        future=_history(weather, ["target_hour", "issued_at", "kafka_timestamp"], WEATHER).known(
            first, lead_hours, at_us=at_us
        ),
    )


def _history(rows: pd.DataFrame, order: Sequence[str], values: Sequence[str]) -> History:
    """The rows as revisions: by the hour, which `order` begins with, the newest last; available at what it ends with."""
    ordered = rows.sort_values(list(order))
    hour, available = (np.asarray(ordered[name].map(_micros), np.int64) for name in (order[0], order[-1]))
    return History(hour // HOUR_US, available, ordered[list(values)].to_numpy(np.float64))


def _rows(settings: Settings, name: str, wanted: ds.Expression, columns: Sequence[str]) -> pd.DataFrame:
    """These columns of the rows wanted, of the newest version of a table; times are in UTC."""
    found: pd.DataFrame = table(settings.lake_uri, name).to_table(list(columns), filter=wanted).to_pandas()
    return found


def _micros(time: pd.Timestamp) -> int:
    return int(time.value // 1000)
