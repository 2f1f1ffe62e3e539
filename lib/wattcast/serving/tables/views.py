"""The views of restricted API keys: the rows in memory that belong to their buildings."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from wattcast.serving.security.access import BuildingAccess
from wattcast.serving.tables.columns import LATEST
from wattcast.serving.tables.snapshot import Snapshot
from wattcast.serving.tables.view import LakeView, SnapshotState
from wattcast.serving.tables.visible import SUBJECT_TABLES, VisibleBuildings, visible_subjects


@dataclass(frozen=True)
class _Restricted:
    """The visible part of a state, and the state that it was derived from."""

    source: SnapshotState
    state: SnapshotState
    buildings: VisibleBuildings


class LakeViews:
    """What each access may see of a snapshot. A part is kept as long as the rows that it was derived from; there is one for each
    access of a valid key."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._parts: dict[BuildingAccess, _Restricted] = {}

    def of(self, access: BuildingAccess) -> LakeView:
        """The view now: membership of sites is that of the table `buildings` as last read."""
        view = self._snapshot.view
        if not access.is_restricted:
            return view
        state, part = view.state, self._parts.get(access)
        if part is None or not _has_same_rows(part.source, state):
            self._parts[access] = part = _restricted(state, access)
        visible = replace(state, latest=part.state.latest, metadata=part.state.metadata)
        return replace(view, state=visible, buildings=part.buildings)


def _has_same_rows(before: SnapshotState, after: SnapshotState) -> bool:
    is_same = before.metadata is after.metadata and before.latest.keys() == after.latest.keys()
    return is_same and all(rows is after.latest[name] for name, rows in before.latest.items())


def _restricted(state: SnapshotState, access: BuildingAccess) -> _Restricted:
    of_sites = {building_id for building_id, row in state.metadata.items() if row["site"] in access.sites}
    ids = of_sites.union(access.buildings)
    buildings = VisibleBuildings(frozenset(ids), _visible_subjects(state, frozenset(ids)))
    latest = {name: rows.matching(buildings.condition(LATEST[name].table)) for name, rows in state.latest.items()}
    metadata = {building_id: row for building_id, row in state.metadata.items() if building_id in ids}
    return _Restricted(state, replace(state, latest=latest, metadata=metadata), buildings)


def _visible_subjects(state: SnapshotState, ids: frozenset[str]) -> frozenset[str]:
    devices = state.latest["devices"].index if "devices" in state.latest else {}
    return visible_subjects(_subjects(state), ids, all_ids=state.building_ids, devices=devices)


def _subjects(state: SnapshotState) -> Iterator[str]:
    for name in SUBJECT_TABLES:
        if name in state.latest:
            yield from pc.unique(state.latest[name].rows["subject"]).to_pylist()
