"""The predictor: an artifact as one small value that travels to any process and turns arrays into forecasts there."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wattcast_models import artifact
from wattcast_models.bias import bias, earlier
from wattcast_models.calibration import calibrated
from wattcast_models.features import (
    CONTEXT_INPUTS,
    DAY_HOURS,
    FUTURE_INPUTS,
    PLACE_INPUTS,
    CalendarAt,
    Inputs,
    calendar_at,
    features_by_day,
)
from wattcast_models.networks import MEDIAN, QUANTILES

REQUIRED = ("origin", *PLACE_INPUTS, *CONTEXT_INPUTS, *FUTURE_INPUTS)
ROWS_AT_ONCE = 256  # bounds the memory of a call

_built: dict[
    tuple[str, str], nn.Module
] = {}  # the network of this process, by sha256 of weights and device: one at a time


@dataclass(frozen=True)
class Predictor:
    """A model as its config and weights: no path, no open file, picklable. `device` is of torch, where it is called."""

    config: dict[str, Any]
    weights: bytes
    device: str = field(default="cpu", kw_only=True)

    @classmethod
    def read(cls, folder: Path | str) -> Self:
        """The model in this folder, checked whole; ArtifactError (a ValueError) says what is wrong with it."""
        predictor = cls(*artifact.read(Path(folder)))
        artifact.build_network(predictor.config, predictor.weights)
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
        """P10, P50 and P90 in kWh, (n, L, 3), for the L hours from each origin on; see `features` for the inputs.

        L is the length of the future arrays. Forecasts of a meter without a negative hour in its context are never
        negative. A forecast that is not finite is left so, for the caller to replace.
        Raises ValueError for inputs of wrong shapes, and where there is no such device.
        """
        return self.forecast(inputs)[..., [self.quantiles.index(level) for level in QUANTILES]]

    def forecast(self, inputs: Inputs, *, calendar: CalendarAt = calendar_at) -> NDArray[np.float64]:
        """As a call, with every quantile of the model: kWh, (n, L, len(quantiles)); `calendar` may assume another one."""
        rows, leads = self._shape(inputs)
        quantiles = np.empty((rows, leads, len(self.quantiles)))
        for start in range(0, rows, ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            quantiles[part] = self._some({name: values[part] for name, values in inputs.items()}, leads, calendar)
        return quantiles

    def _some(self, inputs: Inputs, leads: int, calendar: CalendarAt) -> NDArray[np.float64]:
        """Few enough rows to be forecast at once."""
        quantiles = self._quantiles(inputs, leads, calendar)
        if days := self.config.get("bias_days", 0):
            median = self.quantiles.index(MEDIAN)
            found = [
                actual - self._quantiles(then, leads, calendar)[..., median] for then, actual in earlier(inputs, days)
            ]
            quantiles += bias(np.stack(found, axis=1))[..., None] if found else 0.0
        energy = np.asarray(inputs["energy_usage_kwh"], np.float64)
        lowest = np.where(np.isfinite(energy), energy, 0.0).min(axis=1, initial=0.0)  # (n,)
        is_never_negative = (lowest >= 0)[:, None, None]
        return np.asarray(np.where(is_never_negative, np.maximum(quantiles, 0.0), quantiles), np.float64)

    def _shape(self, inputs: Inputs) -> tuple[int, int]:
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
        network, calibration = network_of(self), self.config.get("calibration")
        parts = features_by_day(
            inputs,
            inputs_used=self.config["inputs"],
            context_hours=self.context_hours,
            days=range(-(-leads // DAY_HOURS)),
            calendar=calendar,
        )
        days = []
        for made in parts:
            with torch.inference_mode():
                scaled = network(made.to(self.device)).double().cpu()  # (n, 24, quantiles)
            if calibration:
                scaled = calibrated(scaled, calibration, self.quantiles, day=made.grid.days_ahead)
            days.append((scaled * made.scale[..., None] + made.loc[..., None]).numpy())
        return np.asarray(np.concatenate(days, axis=1)[:, :leads], np.float64)  # (n, leads, quantiles)


def network_of(predictor: Predictor) -> nn.Module:
    """The network of this predictor, built at the first call in a process; another version takes its place."""
    key = (str(predictor.config["sha256"]), predictor.device)
    if key not in _built:
        torch.set_num_threads(1)  # Spark runs one task per core
        network = artifact.build_network(predictor.config, predictor.weights).to(usable(predictor.device))
        _built.clear()
        _built[key] = network
    return _built[key]


def usable(device: str) -> str:
    """The device, if it is one of this machine; ValueError otherwise."""
    if device != "cpu" and not torch.cuda.is_available():
        raise ValueError(f"This machine has no device {device} that torch can use.")
    return device
