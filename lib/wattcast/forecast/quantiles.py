"""The quantiles of a forecast, declared once: their columns and their levels."""

from collections.abc import Mapping

QUANTILES: Mapping[str, float] = {"p10_kwh": 0.1, "p50_kwh": 0.5, "p90_kwh": 0.9}  # column of energy in kWh: level
QUANTILE_COLUMNS = tuple(QUANTILES)
