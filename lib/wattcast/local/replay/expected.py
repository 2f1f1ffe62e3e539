"""The rejection rules that the readings of a file break, by the limits of their data contract."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.contracts import contract
from wattcast.local.replay.recordings import Recording

Flags = npt.NDArray[np.bool_]


def broken_rules(recording: Recording, readings: pd.DataFrame) -> list[tuple[str, ...]]:
    """For each reading, the rules for which it is rejected, in the order of the contract; empty if it is accepted."""
    rules: list[tuple[str, ...]] = [()] * len(readings)
    for rule, is_broken in _broken_by_rule(recording, readings):
        for row in np.flatnonzero(is_broken).tolist():
            rules[row] = (*rules[row], rule)
    return rules


def _broken_by_rule(recording: Recording, readings: pd.DataFrame) -> Iterator[tuple[str, Flags]]:
    """Each rule with the readings that break it."""
    in_range = np.ones(len(readings), bool)
    for column in contract("readings").columns:
        is_time = column.logical_type == "timestamp"
        if column.name not in readings and not is_time:
            continue
        values = readings["measured_ms" if is_time else column.name]
        if column.required:
            yield f"{column.name}.missing", values.isna().to_numpy()
        limits = [column.limits[name] for name in ("minimum", "maximum") if name in column.limits]
        if len(limits) == 2:
            low, high = (pd.Timestamp(limit).timestamp() * 1000 if is_time else limit for limit in limits)
            in_range = ~((values < low) | (values > high)).to_numpy()  # a null is in range
            yield f"{column.name}.out_of_range", ~in_range
        if column.name == "energy_usage_kwh":
            may_be_negative = recording.allows_negative[readings["building"].to_numpy()]
            yield f"{column.name}.negative", (values < 0).to_numpy() & in_range & ~may_be_negative
