"""Sums of a building's forecast errors by method and by group of hours."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wattcast_models.evaluation.baselines import Floats
from wattcast_models.evaluation.metrics import SUMS, error_sums
from wattcast_models.evaluation.results import RESULT_COLUMNS
from wattcast_models.features import calendar as local
from wattcast_models.features.raw_inputs import PLACE_INPUTS, Inputs
from wattcast_models.time_units import DAY_HOURS


class ErrorAccumulator:
    """Adds up the errors of a building over the parts of its test span."""

    def __init__(self, methods: Sequence[str], lead_hours: int) -> None:
        self._methods = methods
        group_counts = {"all": 1, "lead": lead_hours, "hour": DAY_HOURS, "weekday": 7, "season": 4}
        self._sums = {by: np.zeros((len(methods), count, len(SUMS))) for by, count in group_counts.items()}
        self._unanswered = np.zeros(len(methods), np.int64)  # measured hours without a value, by method

    def add(self, inputs: Inputs, actual: Floats, forecasts: Sequence[Floats]) -> None:
        """Add the errors of `forecasts`, (n, leads) or (n, leads, 3) by method, of `actual`, (n, leads).

        An hour counts only if it was measured and every method has a value for it, so that all are scored on the same hours.
        """
        is_measured = np.isfinite(actual)
        has_value = [np.isfinite(forecast.reshape(*actual.shape, -1)).all(axis=-1) for forecast in forecasts]
        is_scored = is_measured & np.logical_and.reduce(has_value)
        self._unanswered += [int((is_measured & ~has).sum()) for has in has_value]
        groups = {by: group[is_scored] for by, group in hour_groups(inputs, actual.shape[1]).items()}
        for method, forecast in enumerate(forecasts):
            hourly_sums = error_sums(actual[is_scored], np.asarray(forecast[is_scored], float))  # (hours, SUMS)
            for by, group in groups.items():
                np.add.at(self._sums[by][method], group, hourly_sums)

    def unscorable_reason(self) -> str:
        """Why the building has no score, as the end of a sentence about it; empty when it has one."""
        hours, load = self._sums["all"][0, 0, :2]
        if not hours:
            silent = [name for name, count in zip(self._methods, self._unanswered, strict=True) if count]
            return f"has no hour with a value from {', '.join(silent) or 'the meter'}"
        return "" if load else "used no energy in any scored hour"

    def rows(self, building_id: str) -> pd.DataFrame:
        """A row, in RESULT_COLUMNS, per method and group that has a scored hour."""
        parts = []
        for by, sums in self._sums.items():
            for number, method in enumerate(self._methods):
                groups = np.flatnonzero(sums[number, :, 0])
                part = pd.DataFrame(sums[number, groups], columns=SUMS).assign(
                    building_id=building_id, method=method, by=by, group=groups, skipped="",
                    unanswered=float(self._unanswered[number]) if by == "all" else 0.0,
                )  # fmt: skip
                parts.append(part[RESULT_COLUMNS])
        return pd.concat(parts, ignore_index=True)


def hour_groups(inputs: Inputs, lead_hours: int) -> dict[str, NDArray[np.int64]]:
    """The group of each target hour, (n, leads), by grouping; hour, weekday and season are local."""
    leads = np.arange(lead_hours)
    hours = np.asarray(inputs["origin"]).astype("datetime64[h]").astype(np.int64)[:, None] + leads  # (n, leads)
    calendar = local.local_calendar(hours, *([str(value or "") for value in inputs[name]] for name in PLACE_INPUTS))
    local_hours = (hours + calendar[..., local.OFFSET_HOURS]).astype("datetime64[h]")
    months = local_hours.astype("datetime64[M]").astype(np.int64)
    return {
        "all": np.zeros(hours.shape, np.int64),
        "lead": np.broadcast_to(leads, hours.shape),
        "hour": calendar[..., local.HOUR].astype(np.int64),
        "weekday": calendar[..., local.WEEKDAY].astype(np.int64),
        "season": (months % 12 + 1) % 12 // 3,  # December is month 11 and begins season 0
    }
