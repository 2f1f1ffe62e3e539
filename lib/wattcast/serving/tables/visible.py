"""The rows that belong to some buildings: by building, or by the subject of a measurement or alert."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

SUBJECT_TABLES = ("health", "alerts")
SUBJECT_SCOPES = ("building", "device")  # every other scope describes all buildings, or the platform


@dataclass(frozen=True)
class VisibleBuildings:
    """Some buildings, and the subjects of measurements and alerts that concern only them and their devices."""

    ids: frozenset[str]
    subjects: frozenset[str]

    def condition(self, table: str) -> ds.Expression:
        """That a row of a table is visible. A row without a building is not."""
        if table in SUBJECT_TABLES:
            return _is_in("scope", SUBJECT_SCOPES) & _is_in("subject", sorted(self.subjects))
        return _is_in("building_id", sorted(self.ids))

    def has_subject(self, row: Mapping[str, Any]) -> bool:
        """Whether a measurement or an alert is visible."""
        return row["scope"] in SUBJECT_SCOPES and row["subject"] in self.subjects


def visible_subjects(
    subjects: Iterable[str], ids: frozenset[str], *, all_ids: Iterable[str], devices: Iterable[tuple[str, str]]
) -> frozenset[str]:
    """The subjects of which every possible building is in `ids`. A subject is a building, `building/device` or, in older tables,
    a device; ids may have slashes themselves. `devices`: all building and device ids."""
    known_ids = ids.union(all_ids)
    buildings_of: dict[str, set[str]] = {}
    for building_id, device_id in devices:
        buildings_of.setdefault(device_id, set()).add(building_id)
    visible = set()
    for subject in subjects:
        parts = subject.split("/")
        beginnings = {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
        owners = (beginnings & known_ids) | buildings_of.get(subject, set())
        if owners and owners <= ids:
            visible.add(subject)
    return frozenset(visible)


def _is_in(column: str, values: Iterable[str]) -> ds.Expression:
    return ds.field(column).isin(pa.array(values, pa.string()))
