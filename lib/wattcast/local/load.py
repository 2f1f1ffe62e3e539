"""`wattcast load`: files of readings in any form become a file in the form of the contract, or are sent to Kafka."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from wattcast.local.replay.counts import ReplayCounts
from wattcast.local.replay.faults import NO_FAULTS
from wattcast.local.replay.replay import Progress
from wattcast.local.replay.replay_file import ReplayRequest, replay_file
from wattcast.meter_files.conversion import Readings
from wattcast.meter_files.mapping import Choices, Mapping
from wattcast.meter_files.reader import read_readings
from wattcast.meter_files.refusals import Ambiguous
from wattcast.meter_files.writing import write_metadata, write_readings

Answer = Callable[[Ambiguous], object]
REPEATED_IN_FILES = "readings that several files have: that of the last file counts"


@dataclass(frozen=True)
class Loaded:
    """The readings of all files together, the mapping of each file, and the choices after the user's answers."""

    readings: Readings
    mappings: dict[Path, Mapping]
    choices: Choices

    @property
    def timezone(self) -> str | None:
        """The zone of the local times; None where there are none, or several."""
        zones = {mapping.timezone for mapping in self.mappings.values()}
        return zones.pop() if len(zones) == 1 else None


def load_files(files: Sequence[Path], choices: Choices, answer: Answer | None = None) -> Loaded:
    """The readings of files. `answer` returns the user's answer to a doubt; without it a doubt is raised.

    Raises:
        FileRefused: a file does not hold readings.
        Ambiguous: a file can be read in several ways.
    """
    parts: list[Readings] = []
    mappings: dict[Path, Mapping] = {}
    for file in files:
        readings, mappings[file], choices = _settled(file, choices, answer)
        parts.append(readings)
    return Loaded(_together(parts), mappings, choices)


def _settled(file: Path, choices: Choices, answer: Answer | None) -> tuple[Readings, Mapping, Choices]:
    while True:
        try:
            return *read_readings(file, choices), choices
        except Ambiguous as doubt:
            if answer is None:
                raise
            choices = _answered(choices, doubt.choice, answer(doubt))


def _answered(choices: Choices, choice: str, value: object) -> Choices:
    """The choices with the answer to a doubt; mapped columns are added to those that were mapped before."""
    columns = {**choices.columns, **value} if choice == "columns" and isinstance(value, dict) else choices.columns
    changes: dict[str, Any] = {"columns": columns} if choice == "columns" else {choice: value}
    return replace(choices, **changes)


def _together(parts: list[Readings]) -> Readings:
    if len(parts) == 1:
        return parts[0]
    frame = pd.concat([part.frame for part in parts], ignore_index=True)
    keys = [name for name in ("building_id", "device_id", "measured_at") if name in frame]
    is_repeated = frame.duplicated(keys, keep="last")
    problems = sum((part.problems for part in parts), Counter())
    problems[REPEATED_IN_FILES] += int(is_repeated.sum())
    frame = frame[~is_repeated].sort_values(keys, kind="stable", ignore_index=True)
    minutes: dict[str, int] = {}
    for part in parts:
        for name, value in part.minutes.items():
            minutes[name] = min(value, minutes.get(name, value))
    return Readings(frame, +problems, minutes)


def save(loaded: Loaded, out: Path) -> Path:
    """Write the readings to `out`, and their metadata beside it unless that file exists; returns the file of the metadata."""
    write_readings(out, [loaded.readings.frame])
    metadata = out.with_suffix(".buildings.csv")
    if not metadata.exists():
        write_metadata(metadata, loaded.readings.minutes, loaded.timezone)
    return metadata


def send(loaded: Loaded, buildings_file: Path | None, *, progress: Progress) -> ReplayCounts:
    """Send the readings to the broker of the settings as `wattcast replay` does; the counts."""
    with TemporaryDirectory(prefix="wattcast-load-") as folder:
        file = Path(folder) / "readings.parquet"
        write_readings(file, [loaded.readings.frame])
        request = ReplayRequest(
            file=file, buildings_file=buildings_file, speed=None, buildings=None, days=None, start=None, end=None, seed=0,
            faults=NO_FAULTS, naive_is_utc=False, resume=False,
            remedy="repeat the command: readings that were sent before change nothing",
        )  # fmt: skip
        return replay_file(request, progress=progress)
