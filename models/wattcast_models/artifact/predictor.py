"""The predictor: an artifact as one picklable value that turns arrays into forecasts in any process."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wattcast_models.artifact.files import read_artifact
from wattcast_models.artifact.weights import build_network
from wattcast_models.features.network_inputs import network_inputs_by_day
from wattcast_models.features.raw_inputs import (
    CONTEXT_INPUTS,
    FUTURE_INPUTS,
    PLACE_INPUTS,
    CalendarAt,
    Inputs,
    calendar_at,
)
from wattcast_models.networks.bias_correction import bias_correction, hindcast_inputs
from wattcast_models.networks.calibration import calibrated
from wattcast_models.quantiles import MEDIAN, QUANTILES
from wattcast_models.time_units import DAY_HOURS

REQUIRED = ("origin", *PLACE_INPUTS, *CONTEXT_INPUTS, *FUTURE_INPUTS)
ROWS_AT_ONCE = 256  # bounds the memory of a call


class NetworkCache:
    """The network that a process used last, so that a predictor that arrives pickled with each Spark task is not built again.

    It keeps one network: a new version replaces the one before.
    """

    def __init__(self) -> None:
        self._key: tuple[str, str] | None = None  # sha256 of the weights, device
        self._network: nn.Module | None = None

    def network(self, predictor: "Predictor") -> nn.Module:
        """The network of the predictor on its device; ValueError if the machine has no such device."""
        key = (str(predictor.config["sha256"]), predictor.device)
        if self._network is None or self._key != key:
            torch.set_num_threads(1)  # Spark runs one task per core
            network = build_network(predictor.config, predictor.weights)
            self._network, self._key = network.to(checked_device(predictor.device)), key
        return self._network


# One per process. Spark reuses its Python workers, and no code of ours runs when a worker starts.
NETWORKS = NetworkCache()


@dataclass(frozen=True)
class Predictor:
    """A model as its config and weights, without a path or an open file. `device` is a torch device of the calling process."""

    config: dict[str, Any]
    weights: bytes
    device: str = field(default="cpu", kw_only=True)

    @classmethod
    def read(cls, folder: Path | str) -> Self:
        """The model in this folder, after all checks; ArtifactError (a ValueError) says what is wrong with it."""
        predictor = cls(*read_artifact(Path(folder)))
        build_network(predictor.config, predictor.weights)
        return predictor

    @property
    def name(self) -> str:
        return str(self.config["name"])

    @property
    def version(self) -> str:
        return str(self.config["version"])

    @property
    def context_hours(self) -> int:
        return int(self.config["context_hours"])

    @property
    def lead_hours(self) -> int:
        return int(self.config["lead_hours"])

    @property
    def quantiles(self) -> list[float]:
        """The levels that the model forecasts, ascending."""
        return list(self.config["quantiles"])

    def __call__(self, inputs: Inputs) -> NDArray[np.float64]:
        """P10, P50 and P90 in kWh, (n, L, 3), for the L hours from each origin on; see `features.raw_inputs` for the inputs.

        L is the length of the future arrays. Forecasts are negative only for meters with a negative hour in their context.
        Forecasts that are not finite are returned, and the caller replaces them. ValueError for inputs of wrong shapes, and if
        the machine has no such device.
        """
        return self.forecast(inputs)[..., [self.quantiles.index(level) for level in QUANTILES]]

    def forecast(self, inputs: Inputs, *, calendar: CalendarAt = calendar_at) -> NDArray[np.float64]:
        """As a call, but with every quantile of the model: kWh, (n, L, quantiles). `calendar` is replaced to explain one."""
        rows, leads = self._shape(inputs)
        quantiles = np.empty((rows, leads, len(self.quantiles)))
        for start in range(0, rows, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            quantiles[part] = self._corrected({name: values[part] for name, values in inputs.items()}, leads, calendar)
        return quantiles

    def _corrected(self, inputs: Inputs, leads: int, calendar: CalendarAt) -> NDArray[np.float64]:
        """Forecasts with the bias correction, (n, L, quantiles), of at most ROWS_AT_ONCE rows."""
        quantiles = self._quantiles(inputs, leads, calendar)
        if days := self.config.get("bias_days", 0):
            median = self.quantiles.index(MEDIAN)
            errors = [
                actual - self._quantiles(earlier, leads, calendar)[..., median]  # (n, L)
                for earlier, actual in hindcast_inputs(inputs, days)
            ]
            quantiles += bias_correction(np.stack(errors, axis=1))[..., None] if errors else 0.0
        energy = np.asarray(inputs["energy_usage_kwh"], np.float64)
        lowest = np.where(np.isfinite(energy), energy, 0.0).min(axis=1, initial=0.0)  # (n,)
        is_never_negative = (lowest >= 0)[:, None, None]
        return np.asarray(np.where(is_never_negative, np.maximum(quantiles, 0.0), quantiles), np.float64)

    def _shape(self, inputs: Inputs) -> tuple[int, int]:
        """The numbers of rows and lead hours; ValueError for inputs of wrong shapes."""
        missing = [name for name in REQUIRED if name not in inputs]
        if missing:
            raise ValueError(f"The inputs lack {', '.join(missing)}.")
        rows, leads = inputs["future_temperature_c"].shape
        if wrong := [name for name in REQUIRED if len(inputs[name]) != rows]:
            raise ValueError(f"The inputs {', '.join(wrong)} do not have {rows} rows.")
        if not 1 <= leads <= self.lead_hours or inputs["future_humidity_pct"].shape != (rows, leads):
            raise ValueError(f"The future inputs must have the same 1 to {self.lead_hours} hours, not {leads}.")
        if rows and np.isnat(inputs["origin"]).any():
            raise ValueError("An origin is missing.")
        return rows, leads

    def _quantiles(self, inputs: Inputs, leads: int, calendar: CalendarAt) -> NDArray[np.float64]:
        network, calibration = NETWORKS.network(self), self.config.get("calibration")
        parts = network_inputs_by_day(
            inputs,
            inputs_used=self.config["inputs"],
            context_hours=self.context_hours,
            days=range(-(-leads // DAY_HOURS)),
            calendar=calendar,
        )
        days = []
        for inputs_of_day in parts:
            with torch.inference_mode():
                scaled = network(inputs_of_day.to(self.device)).double().cpu()  # (n, 24, quantiles)
            if calibration:
                scaled = calibrated(scaled, calibration, self.quantiles, day=inputs_of_day.grid.days_ahead)
            days.append((scaled * inputs_of_day.scale[..., None] + inputs_of_day.loc[..., None]).numpy())
        return np.asarray(np.concatenate(days, axis=1)[:, :leads], np.float64)  # (n, leads, quantiles)


def checked_device(device: str) -> str:
    """The device; ValueError if this machine does not have it."""
    if device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"This machine has no device {device} that torch can use.")
    return device
