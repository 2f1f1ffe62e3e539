from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.features.raw_inputs import Inputs
from wattcast_models.registry.gate import GateDecision, GateLimits, judge

HOURS = 24 * 90
NORMAL_P90 = 1.2816
LIMITS = GateLimits()


@dataclass(frozen=True)
class Noisy(Predictor):
    """Knows what follows but for noise of its own, and how large that is: P10 to P90 cover 80 % if `width` is 1."""

    truth: dict[str, Building] = field(default_factory=dict)  # by time zone
    noise_kwh: float = 1.0
    width: float = 1.0
    seed: int = 0
    worse_lead: int | None = None
    silent_lead: int | None = None

    def __call__(self, inputs: Inputs) -> NDArray[np.float64]:
        leads = inputs["future_temperature_c"].shape[1]
        quantiles = np.empty((len(inputs["origin"]), leads, 3))
        for row, (origin, zone) in enumerate(zip(inputs["origin"], inputs["timezone"], strict=True)):
            building = self.truth[zone]
            first = int(origin.astype("datetime64[h]").astype(int)) - building.start
            rng = np.random.default_rng([self.seed, first, list(self.truth).index(zone)])
            size = np.full(leads, self.noise_kwh)
            if self.worse_lead is not None:
                size[self.worse_lead] *= 2
            middle = building.values[first : first + leads, 0] + rng.normal(0, 1, leads) * size
            quantiles[row] = middle[:, None] + size[:, None] * self.width * NORMAL_P90 * np.array([-1, 0, 1])
        if self.silent_lead is not None:
            quantiles[:, self.silent_lead] = np.nan
        return quantiles


@pytest.fixture
def buildings() -> list[Building]:
    """Ten buildings of different sizes; the time zone, all of them UTC, says which is which."""
    zones = [
        "UTC",
        "Etc/UTC",
        "Etc/UCT",
        "Etc/GMT",
        "GMT",
        "Zulu",
        "Etc/Zulu",
        "Universal",
        "Etc/Greenwich",
        "Etc/GMT0",
    ]
    hour = np.arange(HOURS)
    found = []
    for number, zone in enumerate(zones):
        values = np.full((HOURS, 4), np.nan, np.float32)
        values[:, 0] = (
            50 + 20 * number + 10 * np.sin(hour * np.pi / 12) + np.random.default_rng(number).normal(0, 5, HOURS)
        )
        found.append(Building(f"b{number}", 480_000, values, {"timezone": zone}))
    return found


@pytest.fixture
def verdict(buildings: list[Building], write_artifact: Callable[..., Path]) -> Callable[..., GateDecision]:
    """Judges a challenger with some changes against a champion whose noise is 1 kWh."""
    model = Predictor.read(write_artifact())
    truth = {building.metadata["timezone"]: building for building in buildings}

    def judged(*, limits: GateLimits = LIMITS, of: int = len(buildings), **changes: Any) -> GateDecision:
        champion = Noisy(model.config, model.weights, truth, seed=1)
        challenger = Noisy(model.config, model.weights, truth, **{"seed": 2} | changes)
        return judge(challenger, champion, buildings[:of], limits=limits)

    return judged


def test_a_better_challenger_is_accepted(verdict: Callable[..., GateDecision]) -> None:
    found = verdict(noise_kwh=0.9)
    assert (found.is_accepted, found.reasons) == (True, [])
    assert found.figures["nrmse_ratio"] == pytest.approx(0.9, abs=0.04)
    assert found.figures["nrmse_ratio_high"] < 1
    assert found.figures["challenger_coverage_pct"] == pytest.approx(80, abs=2)
    assert (found.figures["buildings"], found.figures["buildings_better"]) == (10, 10)


def test_a_worse_challenger_is_refused_with_the_figures(verdict: Callable[..., GateDecision]) -> None:
    found = verdict(noise_kwh=1.2)
    assert not found.is_accepted
    assert found.reasons[0].startswith("Its errors are 1.2")
    assert found.reasons[1] == "It is better for 0 of 10 buildings: more than half are needed."
    assert "Its quantiles are worse" in found.reasons[2]


@pytest.mark.parametrize(("width", "share"), [(0.6, "54"), (1.7, "96")])
def test_a_miscalibrated_challenger_is_refused_however_accurate(
    verdict: Callable[..., GateDecision], width: float, share: str
) -> None:
    found = verdict(noise_kwh=0.7, width=width)
    assert not found.is_accepted
    assert found.reasons[0].startswith(f"P10 to P90 cover {share}")
    assert all("P10 to P90 cover" in reason for reason in found.reasons)


def test_the_champion_itself_is_refused(verdict: Callable[..., GateDecision]) -> None:
    found = verdict(seed=1)
    assert found.figures["nrmse_ratio"] == 1
    assert [reason[:20] for reason in found.reasons] == ["Its errors are 1.000", "It is better for 0 o"]


def test_an_equal_one_with_other_noise_is_refused(verdict: Callable[..., GateDecision]) -> None:
    assert not verdict(seed=7).is_accepted


def test_a_better_one_that_is_worse_at_one_lead_is_refused_for_it(verdict: Callable[..., GateDecision]) -> None:
    found = verdict(noise_kwh=0.8, worse_lead=6)
    assert len(found.reasons) == 1
    assert found.reasons[0].startswith("Its errors are clearly larger at lead hours 7 (1.")
    assert verdict(noise_kwh=0.8, worse_lead=6, limits=GateLimits(max_lead_increase=1.0)).is_accepted


def test_a_challenger_cannot_win_by_giving_no_number(verdict: Callable[..., GateDecision]) -> None:
    found = verdict(noise_kwh=0.8, silent_lead=3)
    assert found.reasons == ["It has no value for 180 more measured hours than the champion."]


def test_few_buildings_decide_nothing(verdict: Callable[..., GateDecision]) -> None:
    found = verdict(noise_kwh=0.8, of=3)
    assert found.reasons == ["Only 3 buildings can be scored; at least 5 are needed."]
    assert verdict(noise_kwh=0.8, of=3, limits=GateLimits(min_buildings=3)).is_accepted


def test_a_shorter_horizon_is_refused(
    buildings: list[Building], write_artifact: Callable[..., Path], verdict: Callable[..., GateDecision]
) -> None:
    short, whole = (Predictor.read(write_artifact(seed, lead_hours=leads)) for seed, leads in ((1, 12), (2, 168)))
    found = judge(short, whole, buildings)
    assert found == GateDecision(False, ["It forecasts 12 hours ahead; the champion forecasts 168."])
    assert judge(whole, short, buildings).figures["buildings"] == 10


def test_nothing_to_judge_by_is_an_error(write_artifact: Callable[..., Path]) -> None:
    model = Predictor.read(write_artifact())
    with pytest.raises(ValueError, match="No building can be scored: there are no buildings"):
        judge(model, model, [])
