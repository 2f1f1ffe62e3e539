"""Load profiles: the forecasts that need no model. numpy and pandas only.

Hours are int64 hours since 1970 UTC; NaN is a missing value.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from wattcast.forecast.context import Array, zone_name
from wattcast.forecast.quantiles import QUANTILE_COLUMNS
from wattcast.settings import project_folder

NORMAL_P90 = 1.2816  # 0.9 quantile of the standard normal distribution
NORMAL_MAD = 1.4826  # standard deviation over median absolute deviation of a normal distribution
MIN_RELATIVE_SPREAD = 0.05  # of the median energy, where the profile fits the past without an error
DAY_HOURS = 24


def profile_quantiles(energy: Array, fine: Array, coarse: Array) -> Array:
    """(lead_hours, 3) in kWh: P50 is the median of the past hours of the same class, and the band is the spread of the past
    around the profile.

    `energy` (hours,) has at least one value. `fine` and `coarse` (hours + lead_hours,) are classes of hours, such as the hour
    of the week: a lead hour uses its fine class, its coarse class where the fine one has no value, else all hours.
    """
    hours = len(energy)
    is_present = np.isfinite(energy)
    overall = float(np.median(energy[is_present]))
    medians = {
        (name, key): float(np.median(energy[is_present & (classes[:hours] == key)]))
        for name, classes in (("fine", fine), ("coarse", coarse))
        for key in np.unique(classes[:hours][is_present])
    }

    def expected(hour: int) -> float:
        return medians.get(("fine", fine[hour]), medians.get(("coarse", coarse[hour]), overall))

    fitted = np.array([expected(hour) for hour in range(len(fine))])
    residuals = np.abs(energy[is_present] - fitted[:hours][is_present])
    spread = NORMAL_MAD * float(np.median(residuals)) or MIN_RELATIVE_SPREAD * abs(overall)
    p50 = fitted[hours:]
    return np.stack([p50 - NORMAL_P90 * spread, p50, p50 + NORMAL_P90 * spread], axis=1)


def local_hours(hours: Array, timezone: str) -> tuple[Array, Array]:
    """The local hour of the week (Monday 0:00 is 0) and of the day of UTC hours, with daylight saving time."""
    utc = pd.DatetimeIndex(hours.astype("datetime64[h]").astype("datetime64[s]"), tz="UTC")
    local = utc.tz_convert(zone_name(timezone))
    return np.asarray(local.weekday * DAY_HOURS + local.hour), np.asarray(local.hour)


@lru_cache(maxsize=64)
def type_prior(building_type: str) -> Array:
    """(168, 3) P10, P50, P90 in kWh by local hour of the week, for a building of which only the type is known."""
    priors = _priors(project_folder("conf") / "priors.yaml")
    days = priors.get(building_type, priors["default"])
    quantiles = [[*days[f"weekday_{column}"] * 5, *days[f"weekend_{column}"] * 2] for column in QUANTILE_COLUMNS]
    return np.array(quantiles, dtype=float).T


@lru_cache(maxsize=4)
def _priors(file: Path) -> Mapping[str, Mapping[str, list[float]]]:
    with file.open(encoding="utf-8") as text:
        priors: Mapping[str, Mapping[str, list[float]]] = yaml.safe_load(text)
    return priors
