"""The names of the columns that a network reads, by the input that they come from.

A column of an hour is (n, 24), one of the window (n, 1); all are finite, 0 where missing. The `inputs` of an artifact name
the inputs that its network reads: one that was trained without weather has no weather columns.
"""

from collections.abc import Sequence

from torch import Tensor

Columns = dict[str, Tensor]

MAX_SCALED = 30.0  # scaled values are clipped here: a network learns nothing more from a larger spike

DAY_LAGS, WEEK_LAGS = range(1, 8), range(1, 5)
LAGS = tuple([f"day_{lag}" for lag in DAY_LAGS] + [f"week_{lag}" for lag in WEEK_LAGS])
PROFILES = ("kind", "kind_14d", "kind_fading_3d", "kind_fading_10d", "weekday_28d", "weekday", "last_7d")
CANDIDATES = LAGS + PROFILES
LEVEL_HOURS = ((0, 1), (1, 3), (0, 3), (3, 12), (0, 24), (24, 48), (0, 168), (168, 336), (336, 672))
LEVELS = tuple(f"level_{newest}_{oldest}h" for newest, oldest in LEVEL_HOURS)
HABITS = ("lasts_1h", "lasts_24h", "lasts_168h", "of_whole_days", "of_few_hours", "spread", "spread_7d")

HOUR_COLUMNS = {
    "energy_usage_kwh": (
        *CANDIDATES,
        *(f"{name}_missing" for name in CANDIDATES),
        *(f"{name}_same_kind" for name in LAGS),
        "kind_spread",
        "kind_spread_lately",
    ),
    "calendar": (
        "hour_sin", "hour_cos", "hour_sin_2", "hour_cos_2",
        "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
        "weekend", "holiday", "day_off", "off_before", "off_after", "hour_ahead", "days_ahead",
    ),
    "day_of_year": ("season_sin", "season_cos"),
    "temperature_c": (
        "temperature_day_1", "future_temperature", "future_temperature_missing", "future_temperature_change",
    ),
    "humidity_pct": ("future_humidity", "future_humidity_missing"),
    "occupancy": ("occupancy_day_1", "occupancy_week_1", "occupancy_kind"),
}  # fmt: skip
WINDOW_COLUMNS = {
    "energy_usage_kwh": (*LEVELS, *HABITS, "history"),
    "calendar": (),
    "day_of_year": (),
    "temperature_c": ("temperature_24h", "temperature_168h", "temperature_mean", "temperature_missing"),
    "humidity_pct": ("humidity_24h", "humidity_missing"),
    "occupancy": ("occupancy_24h", "occupancy_168h", "occupancy_missing"),
}


def feature_names(inputs: Sequence[str]) -> list[str]:
    """The columns of the hour and then those of the window, of these inputs, in the order in which networks read them."""
    return hour_names(inputs) + window_names(inputs)


def hour_names(inputs: Sequence[str]) -> list[str]:
    return [name for used in inputs for name in HOUR_COLUMNS[used]]


def window_names(inputs: Sequence[str]) -> list[str]:
    return [name for used in inputs for name in WINDOW_COLUMNS[used]]
