"""Calibration of a trained network on the validation weeks."""

import numpy as np
import torch
from torch import nn

from wattcast_models.features.network_inputs import network_inputs, network_inputs_by_day
from wattcast_models.networks.calibration import calibration_factors
from wattcast_models.training.batches import WindowSampler


def measured_calibration(network: nn.Module, sampler: WindowSampler, device: str) -> dict[str, list[float]]:
    """The calibration factors of a network, from its forecasts of all lead hours of the validation weeks."""
    options, forecasts, actuals = sampler.options, [], []
    for raw, actual in sampler.calibration_windows():
        days = network_inputs_by_day(
            raw, inputs_used=sampler.inputs, context_hours=options.context_hours, days=range(options.days)
        )
        with torch.inference_mode():
            scaled = [network(inputs.to(device)).cpu().double().numpy() for inputs in days]  # (n, 24, quantiles) each
        forecasts.append(np.concatenate(scaled, axis=1))  # (n, 24 days, quantiles)
        first_day = network_inputs(raw, inputs_used=sampler.inputs, context_hours=options.context_hours)
        actuals.append((actual - first_day.loc.numpy()) / first_day.scale.numpy())  # (n, 24 days)
    leads = slice(0, options.lead_hours)
    return calibration_factors(
        np.concatenate(forecasts)[:, leads], np.concatenate(actuals)[:, leads], options.quantiles
    )
