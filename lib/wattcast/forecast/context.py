"""What one forecast is computed from, and what it consists of: plain values and numpy arrays.

Hours are int64 hours since 1970 UTC; NaN is a missing value.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Predictor(Protocol):
    """A model over arrays; `model_inputs` gives its inputs. It returns (forecasts, lead_hours, 3) quantiles in kWh, and raises
    ValueError, OSError or RuntimeError when it cannot."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    def __call__(self, inputs: Mapping[str, Array]) -> Array: ...


# The model of a building, by its id and its site ("" if unknown); None where no model can be used.
ModelOf = Callable[[str, str], Predictor | None]


@dataclass(frozen=True)
class Building:
    """Metadata of a building. An unknown time zone is UTC, an unknown country has no holidays; `has_metadata` is false where
    the table `buildings` has no row."""

    building_id: str
    timezone: str = "UTC"
    country: str = ""
    building_type: str = ""
    closures: str = ""
    has_metadata: bool = False


@dataclass(frozen=True)
class Context:
    """The inputs of one forecast: `past` (hours, 4) energy, temperature, humidity and occupancy before `origin`; `future`
    (lead_hours, 2) forecast temperature and humidity from `origin` on."""

    building: Building
    origin: int
    past: Array
    future: Array
    is_late: bool = False


@dataclass(frozen=True)
class Forecast:
    """`quantiles_kwh` is (lead_hours, 3) for P10, P50, P90."""

    quantiles_kwh: Array
    method: str
    warnings: tuple[str, ...]


def model_inputs(contexts: list[Context]) -> dict[str, Array]:
    """The arrays that a model receives; their first axis is the forecast, the second hours of context or lead hours."""
    past = np.stack([context.past for context in contexts])  # (forecasts, hours, 4)
    future = np.stack([context.future for context in contexts])  # (forecasts, lead_hours, 2)
    buildings = [context.building for context in contexts]
    return {
        "origin": np.array([context.origin for context in contexts]).astype("datetime64[h]").astype("datetime64[s]"),
        "timezone": np.array([zone_name(building.timezone) for building in buildings], dtype=object),
        "country": np.array([building.country for building in buildings], dtype=object),
        "closures": np.array([building.closures for building in buildings], dtype=object),
        "building_type": np.array([building.building_type for building in buildings], dtype=object),
        "energy_usage_kwh": past[:, :, 0],
        "temperature_c": past[:, :, 1],
        "humidity_pct": past[:, :, 2],
        "occupancy": past[:, :, 3],
        "future_temperature_c": future[:, :, 0],
        "future_humidity_pct": future[:, :, 1],
    }


@lru_cache(maxsize=4096)
def zone_name(timezone: str) -> str:
    """The time zone, or UTC where Python does not know it."""
    try:
        return ZoneInfo(timezone).key
    except (ZoneInfoNotFoundError, ValueError):
        return "UTC"
