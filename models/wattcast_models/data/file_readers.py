"""How files are read that are not Delta tables: by functions that a command hands in."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wattcast_models.data.series import Batches


@dataclass(frozen=True)
class FileReaders:
    """Functions of a file. They are functions of modules, so that another process can read the same data."""

    readings: Callable[
        [Path], Iterable[pd.DataFrame]
    ]  # timestamp (UTC), building_id, device_id, CONTEXT_INPUTS; iterated twice
    metadata: Callable[[Path], Mapping[str, dict[str, str]]]  # METADATA by building id
    building_ids: Callable[[Path], set[str]]  # of a file of readings or of buildings

    def batches(self, data: Path) -> Batches:
        """The chunks of a file of readings, with those of the requested columns that it has."""
        readings = self.readings(data)
        return lambda columns: (chunk[[name for name in columns if name in chunk]] for chunk in readings)
