"""The results of a backtest: sums of errors by building, method and group of hours."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd

from wattcast_models.evaluation.baselines import LAST_WEEK
from wattcast_models.evaluation.metrics import KEYS, SUMS, measures_from_sums

RESULT_COLUMNS = [*KEYS, *SUMS, "unanswered", "skipped"]


@dataclass(frozen=True)
class Results:
    """`sums` has RESULT_COLUMNS, one row per building, method, grouping (`by`) and group."""

    sums: pd.DataFrame
    skipped: dict[str, str]  # the reason by building id

    @classmethod
    def from_parts(cls, parts: Iterable[pd.DataFrame]) -> Self:
        """The rows of all buildings together; ValueError when none of them has a scored hour."""
        frames = list(parts)
        rows = pd.concat(frames) if frames else pd.DataFrame(columns=RESULT_COLUMNS)
        is_skipped = rows["by"] == "skipped"
        reasons = rows.loc[is_skipped].set_index("building_id")["skipped"]
        skipped = {str(building_id): str(reason) for building_id, reason in reasons.items()}
        sums = rows[~is_skipped].sort_values(KEYS, kind="stable", ignore_index=True)
        sums = sums.astype(dict.fromkeys([*SUMS, "unanswered"], float) | {"group": int})
        if not len(sums):
            examples = "; ".join(f"{building_id} {reason}" for building_id, reason in list(skipped.items())[:3])
            raise ValueError(f"No building can be scored: {examples or 'there are no buildings'}.")
        return cls(sums, skipped)

    @cached_property
    def measures(self) -> pd.DataFrame:
        """KEYS, hours and MEASURES; the skill is measured against the same hour last week."""
        return measures_from_sums(self.sums, reference=LAST_WEEK)

    @property
    def methods(self) -> list[str]:
        return sorted(self.sums["method"].unique())

    @property
    def buildings(self) -> list[str]:
        return sorted(self.sums["building_id"].unique())

    def unanswered(self, method: str) -> int:
        """The count of measured hours for which the method has no value; such an hour is scored for no method."""
        return int(self.sums.loc[self.sums["method"] == method, "unanswered"].sum())


def skipped_row(building_id: str, reason: str) -> pd.DataFrame:
    """The one row, in RESULT_COLUMNS, of a building that cannot be scored."""
    row = dict.fromkeys(RESULT_COLUMNS, np.nan) | {"building_id": building_id, "method": "", "by": "skipped"}
    return pd.DataFrame([row | {"group": 0, "skipped": reason}])[RESULT_COLUMNS]
