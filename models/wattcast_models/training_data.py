"""What may be learned from: the recorded hours of a file without those kept for testing, and synthetic ones beside them."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from wattcast_models.readings import Building, building_ids, read_buildings
from wattcast_models.rolling import before_share
from wattcast_models.synthetic import synthetic_buildings


@dataclass(frozen=True)
class TrainingData:
    """Where the hours are and which are left out; by path, so that another process can read the same."""

    data: Path
    buildings_file: Path | None = None
    exclude_buildings_of: Path | None = None
    hold_out_share: float = 0.0  # the last share of each building's time
    synthetic: int = 0  # buildings
    seed: int = 0  # of the synthetic ones
    version: int | None = None  # of a Delta table
    hindsight: bool = False  # hours as they are known now, not as they were at each origin
    excluded: frozenset[str] = frozenset()  # buildings besides those of that file
    store: Path | None = None  # a folder for the hours, where they are not to be in memory

    def recorded(self) -> list[Building]:
        """The buildings of the file as they may be learned from; ValueError when none is left, and as `read_buildings`."""
        found = read_buildings(self.data, self.buildings_file, store=self.store, version=self.version)
        buildings = [
            before_share(replace(building, revisions=None) if self.hindsight else building, self.hold_out_share)
            for building in found
            if building.building_id not in self.excluded_ids
        ]
        if not buildings:
            raise ValueError("No building is left to train on.")
        return buildings

    def made_up(self) -> list[Building]:
        """The synthetic buildings."""
        return synthetic_buildings(self.synthetic, seed=self.seed)

    @cached_property
    def excluded_ids(self) -> frozenset[str]:
        """The buildings that are kept for testing."""
        named = building_ids(self.exclude_buildings_of) if self.exclude_buildings_of else ()
        return self.excluded | frozenset(named)
