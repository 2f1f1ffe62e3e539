"""The newest forecast of a building as a data frame: python read_pandas.py .wattcast/lake sim_0001"""

import sys

import pandas as pd
from deltalake import DeltaTable


def latest_forecast(lake: str, building: str) -> pd.DataFrame:
    """A row per hour, with the interval and the method that made it."""
    filters = [("building_id", "=", building), ("purpose", "=", "live")]
    forecasts = DeltaTable(f"{lake}/forecasts").to_pandas(filters=filters).sort_values("origin")
    hours = ["target_hour", "p10_kwh", "p50_kwh", "p90_kwh"]
    return forecasts.tail(1)[[*hours, "method", "warnings"]].explode(hours, ignore_index=True)


if __name__ == "__main__":
    print(latest_forecast(*sys.argv[1:]).to_string())
