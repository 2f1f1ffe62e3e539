"""The data of a training run: recorded hours without those that are held out for testing, and synthetic buildings."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from wattcast_models.data.closing import ClosingRules
from wattcast_models.data.file_readers import FileReaders
from wattcast_models.data.readings import Building, building_ids, read_buildings
from wattcast_models.data.rolling import before_test_span
from wattcast_models.data.synthetic import synthetic_buildings


@dataclass(frozen=True)
class TrainingData:
    """Where the hours are and which are held out. It names files, not arrays, so that another process can read the same data."""

    data: Path
    buildings_file: Path | None = None
    exclude_buildings_of: Path | None = None
    hold_out_share: float = 0.0  # the last share of each building's time
    synthetic_count: int = 0
    seed: int = 0  # of the synthetic buildings
    version: int | None = None  # of a Delta table
    hindsight: bool = False  # contexts have the hours as known now, not as known at each origin
    excluded_ids: frozenset[str] = frozenset()  # buildings that are left out besides those of that file
    store: Path | None = None  # a folder for the hours, to keep them out of memory
    closing: ClosingRules | None = None  # needed for `hourly_usage`
    files: FileReaders | None = None  # for data and buildings_file that are not tables

    def recorded_buildings(self) -> list[Building]:
        """The buildings of the file without what is held out; ValueError if none is left, and as `read_buildings`."""
        all_buildings = read_buildings(
            self.data,
            self.buildings_file,
            store=self.store,
            version=self.version,
            closing=self.closing,
            files=self.files,
        )
        buildings = [
            before_test_span(replace(building, revisions=None) if self.hindsight else building, self.hold_out_share)
            for building in all_buildings
            if building.building_id not in self.held_out_ids
        ]
        if not buildings:
            raise ValueError("No building is left to train on.")
        return buildings

    def synthetic_buildings(self) -> list[Building]:
        """The synthetic buildings."""
        return synthetic_buildings(self.synthetic_count, seed=self.seed)

    @cached_property
    def held_out_ids(self) -> frozenset[str]:
        """The ids of the buildings that are held out for testing."""
        ids_of_file = building_ids(self.exclude_buildings_of, self.files) if self.exclude_buildings_of else ()
        return self.excluded_ids | frozenset(ids_of_file)
