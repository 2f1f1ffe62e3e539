from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.models.fixtures import INPUTS, small_network
from torch import nn

from wattcast_models.artifact.weights import untrained_network
from wattcast_models.features.columns import hour_names
from wattcast_models.features.network_inputs import NetworkInputs, network_inputs
from wattcast_models.networks.layers import rolled
from wattcast_models.networks.losses import pinball_losses
from wattcast_models.networks.networks import KINDS
from wattcast_models.quantiles import QUANTILES

EVERY = [[kind] for kind in KINDS] + [["mlp", "profile"]]


def untrained(*kinds: str, quantiles: tuple[float, ...] = QUANTILES) -> nn.Module:
    torch.manual_seed(0)
    return untrained_network(small_network(*kinds), INPUTS, quantiles)


def inputs_for(raw: Any) -> NetworkInputs:
    return network_inputs(raw, inputs_used=INPUTS, context_hours=672)


@pytest.mark.parametrize("kinds", EVERY)
@pytest.mark.parametrize("quantiles", [QUANTILES, (0.01, 0.1, 0.5, 0.6, 0.9)])
def test_quantiles_never_cross_whatever_the_inputs_and_weights(
    raw: Callable[..., Any], kinds: list[str], quantiles: tuple[float, ...]
) -> None:
    network, usual = untrained(*kinds, quantiles=quantiles), inputs_for(raw(50))
    wild = replace(
        usual,
        hours=10 * torch.randn(usual.hours.shape),
        window=10 * torch.randn(usual.window.shape),
        candidates=10 * torch.randn(usual.candidates.shape),
        missing=torch.rand(usual.missing.shape) < 0.5,
    )
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 2)
        forecast = network(wild)
    assert forecast.shape == (50, 24, len(quantiles))
    assert (forecast.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("kinds", EVERY)
def test_a_row_without_any_past_hour_still_gets_a_finite_forecast(raw: Callable[..., Any], kinds: list[str]) -> None:
    inputs = raw(2)
    inputs["energy_usage_kwh"][:] = torch.nan
    assert untrained(*kinds)(inputs_for(inputs)).isfinite().all()


@pytest.mark.parametrize("kinds", EVERY)
def test_an_untrained_network_already_repeats_the_past(raw: Callable[..., Any], kinds: list[str]) -> None:
    usual = inputs_for(raw(20))
    distance = (untrained(*kinds)(usual)[..., 1] - usual.candidates.mean(dim=-1)).abs().mean()
    assert distance < 0.5 * usual.candidates.std()


def test_the_lstm_has_two_layers_of_64_units() -> None:
    lstm = untrained("lstm").lstm
    assert (lstm.num_layers, lstm.hidden_size) == (2, 64)


def test_pinball_loss_is_larger_on_the_unlikely_side() -> None:
    zero = torch.zeros(1, 1, 3)
    assert pinball_losses(zero, torch.tensor([[1.0]]), (0.2, 0.5, 0.6)).mean().item() == pytest.approx(
        (0.2 + 0.5 + 0.6) / 3
    )
    assert pinball_losses(zero + 1, torch.tensor([[0.0]]), (0.2, 0.5, 0.6)).mean().item() == pytest.approx(
        (0.8 + 0.5 + 0.4) / 3
    )


def test_networks_of_a_whole_day_keep_each_hour_at_its_place_on_the_clock(raw: Callable[..., Any]) -> None:
    usual = inputs_for(raw(2, origin="2024-05-15T09"))  # 10:00 in London
    by_clock = rolled(usual.hours, -usual.first_hour)
    hour_cos = by_clock[..., hour_names(INPUTS).index("hour_cos")]
    torch.testing.assert_close(hour_cos[0], torch.cos(2 * torch.pi * torch.arange(24) / 24), atol=1e-6, rtol=0)
    torch.testing.assert_close(rolled(by_clock, usual.first_hour), usual.hours)
    network = untrained("profile")
    with torch.no_grad():
        noon_bias = network.head.out.bias.view(24, -1)
        noon_bias[12, -3] += 100  # the correction of 12:00
    raised = network(usual)[0, :, 1] - untrained("profile")(usual)[0, :, 1]
    assert raised.argmax() == 2
    assert (raised > 1).sum() == 1
