import pytest
import torch

from wattcast_models.columns import CANDIDATES
from wattcast_models.features import SEQUENCE, SEQUENCE_HOURS
from wattcast_models.networks import KINDS, Forecaster, Kind, pinball


@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_never_cross_whatever_the_inputs_and_weights(kind: Kind) -> None:
    torch.manual_seed(0)
    network = Forecaster(kind, features=9, hidden=16, summary=8)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 2)
        quantiles = network(
            10 * torch.randn(50, SEQUENCE_HOURS, len(SEQUENCE)),
            10 * torch.randn(50, 30, 9),
            10 * torch.randn(50, 30, len(CANDIDATES)),
            torch.rand(50, 30, len(CANDIDATES)) < 0.5,
        )
    assert quantiles.shape == (50, 30, 3)
    assert (quantiles.diff(dim=-1) >= 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_any_past_hour_still_gets_a_finite_forecast(kind: Kind) -> None:
    shapes = [(2, SEQUENCE_HOURS, len(SEQUENCE)), (2, 24, 9), (2, 24, len(CANDIDATES))]
    missing = torch.ones(2, 24, len(CANDIDATES), dtype=torch.bool)
    assert Forecaster(kind, 9, 16, 8)(*(torch.zeros(shape) for shape in shapes), missing).isfinite().all()


def test_the_lstm_has_two_layers_of_64_units() -> None:
    lstm = Forecaster("lstm", 9, 16, 8).encoder.lstm
    assert (lstm.num_layers, lstm.hidden_size) == (2, 64)


def test_pinball_asks_more_for_a_miss_on_the_unlikely_side() -> None:
    quantiles = torch.tensor([[[0.0, 0.0, 0.0]]])
    assert pinball(quantiles, torch.tensor([[1.0]])).item() == pytest.approx(0.1 + 0.5 + 0.9)
    assert pinball(quantiles[..., [0, 0, 0]] + 1, torch.tensor([[0.0]])).item() == pytest.approx(0.9 + 0.5 + 0.1)
