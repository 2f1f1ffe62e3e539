"""The batches of a training run: windows sampled from long hourly series, as scaled tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wattcast_models.data.augmentation import augment
from wattcast_models.data.readings import Building
from wattcast_models.data.windows import WindowRanges, cut_windows, split_by_time
from wattcast_models.features.network_inputs import NetworkInputs, network_inputs
from wattcast_models.features.raw_inputs import CONTEXT_INPUTS, Inputs
from wattcast_models.time_units import DAY_HOURS
from wattcast_models.training.options import TrainingOptions

VALIDATION_WINDOWS, CALIBRATION_WINDOWS = 2048, 4096
VALIDATION, CALIBRATION, STEP = range(3)  # each purpose has a random stream of its own
MAX_TARGET = 50.0  # scaled units: an hour beyond it has no larger gradient than one at it


@dataclass(frozen=True)
class Batch:
    """The network inputs of n windows and the energy that followed."""

    inputs: NetworkInputs
    actual: Tensor  # (n, 24) scaled, 0 where unknown
    is_known: Tensor  # (n, 24), 0 or 1

    @classmethod
    def of(cls, inputs: NetworkInputs, actual: NDArray[np.float32]) -> Self:
        """`actual` is (n, hours) kWh up to the end of the target day."""
        energy = torch.from_numpy(np.array(actual[:, -DAY_HOURS:]))  # (n, 24)
        scaled = ((energy - inputs.loc) / inputs.scale).clamp(-MAX_TARGET, MAX_TARGET)
        return cls(inputs, scaled.nan_to_num().float(), torch.isfinite(scaled).float())

    def to(self, device: str) -> "Batch":
        return Batch(self.inputs.to(device), self.actual.to(device), self.is_known.to(device))


@dataclass(frozen=True)
class WindowSampler:
    """Samples windows for training, and for validation and calibration from the last share of each building's time.

    What is sampled depends on the seed and on the random stream alone, so that a run can be resumed at any step.
    """

    buildings: Sequence[Building]
    training: WindowRanges
    validation: WindowRanges
    inputs: list[str]  # what the network reads
    options: TrainingOptions

    @classmethod
    def of(cls, buildings: Sequence[Building], options: TrainingOptions) -> Self:
        """ValueError if there are fewer training windows than a batch has, or no validation windows."""
        training, validation = split_by_time(
            buildings, lead_hours=options.lead_hours, validation_share=options.validation_share
        )
        if training.windows < options.batch_windows or not validation.windows:
            raise ValueError(
                f"Too little data: {training.windows} training windows (at least {options.batch_windows}) and "
                f"{validation.windows} validation windows (at least 1). Use some months of hours of each building."
            )
        return cls(buildings, training, validation, measured_inputs(buildings), options)

    def rng(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.options.seed, *stream])

    def training_batch(self, windows: int, day: int, rng: np.random.Generator) -> Batch:
        """Augmented training windows for the target day number `day`."""
        return self._batch(self.training, windows, day, rng)

    def validation_batches(self) -> Iterator[Batch]:
        """The same augmented first days of the validation weeks at every call."""
        windows = self.options.batch_windows
        for number in range(-(-min(VALIDATION_WINDOWS, self.validation.windows) // windows)):
            yield self._batch(self.validation, windows, 0, self.rng(VALIDATION, number))

    def calibration_windows(self) -> Iterator[tuple[Inputs, NDArray[np.float32]]]:
        """Raw inputs of windows of the validation weeks and the energy that followed, (n, 24 days) kWh.

        They are not augmented, because calibration must fit meters as they are; half of the rows have no weather forecast.
        """
        windows, lead_hours = self.options.batch_windows, DAY_HOURS * self.options.days
        for number in range(-(-min(CALIBRATION_WINDOWS, self.validation.windows) // windows)):
            rng = self.rng(CALIBRATION, number)
            inputs, actual = self._cut(self.validation, windows, rng, lead_hours=lead_hours)
            yield _half_without_weather_forecast(inputs, rng), actual

    def _batch(self, ranges: WindowRanges, windows: int, day: int, rng: np.random.Generator) -> Batch:
        raw, actual = self._cut(ranges, windows, rng, lead_hours=DAY_HOURS * (day + 1))
        raw, actual = augment(raw, actual, rng)
        inputs = network_inputs(raw, inputs_used=self.inputs, context_hours=self.options.context_hours, day=day)
        return Batch.of(inputs, actual)

    def _cut(
        self, ranges: WindowRanges, windows: int, rng: np.random.Generator, *, lead_hours: int
    ) -> tuple[Inputs, NDArray[np.float32]]:
        origins = ranges.sample(windows, rng)
        return cut_windows(self.buildings, origins, context_hours=self.options.context_hours, lead_hours=lead_hours)


def measured_inputs(buildings: Sequence[Building]) -> list[str]:
    """The inputs that a network can learn from these buildings.

    A series that no building has is left out, since its weights would stay random. The day of the year needs a year of hours.
    """
    is_measured = [
        any(np.isfinite(building.values[:, column]).any() for building in buildings)
        for column in range(len(CONTEXT_INPUTS))
    ]
    measured = [name for name, has_values in zip(CONTEXT_INPUTS, is_measured, strict=True) if has_values]
    spans_a_year = max(building.hours for building in buildings) >= 365 * DAY_HOURS
    return measured + ["calendar"] + ["day_of_year"] * spans_a_year


def _half_without_weather_forecast(inputs: Inputs, rng: np.random.Generator) -> Inputs:
    has_no_forecast = rng.random((len(inputs["origin"]), 1)) < 0.5
    changed = dict(inputs)
    for name in ("future_temperature_c", "future_humidity_pct"):
        changed[name] = np.where(has_no_forecast, np.float32(np.nan), inputs[name])
    return changed
