"""The gate: a challenger takes the champion's place only if it is better on the same hours of the same buildings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wattcast_models import metrics
from wattcast_models.backtest import Results, model_method, scored, with_reference
from wattcast_models.baselines import LAST_WEEK, Method
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building
from wattcast_models.rolling import DAY, Rolling

CHALLENGER, CHAMPION = "challenger", "champion"
TEST_SHARE = 0.2  # the last of each building's time


@dataclass(frozen=True)
class GateLimits:
    """What a challenger must keep to. P10 to P90 shall hold 80 % of the hours: overall 5 points either way are allowed, as
    weeks differ that much; at one lead 10, and only an interval that lies outside of them counts, as the hours are few. A
    lead is clearly worse if its errors grew by more than `lead_worse` and the interval of that ratio lies above 1: of many
    leads one alone crosses 1 by chance."""

    least_buildings: int = 5
    coverage_pct: tuple[float, float] = (75.0, 85.0)
    lead_coverage_pct: tuple[float, float] = (70.0, 90.0)
    lead_worse: float = 0.02
    lead_hours: int = DAY


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger is accepted, why not, and the figures that decided."""

    is_accepted: bool
    reasons: list[str]  # why refused, in words with figures; empty when accepted
    figures: dict[str, float] = field(default_factory=dict)


def judge(
    challenger: Predictor,
    champion: Predictor,
    buildings: Sequence[Building],
    *,
    test_share: float = TEST_SHARE,
    limits: GateLimits = GateLimits(),
) -> Verdict:
    """Both forecast the last weeks of the buildings from each midnight; only hours with a value of both are compared.

    Raises ValueError when no building can be scored.
    """
    if challenger.lead_hours < min(limits.lead_hours, champion.lead_hours):
        return Verdict(
            False, [f"It forecasts {challenger.lead_hours} hours ahead; the champion forecasts {champion.lead_hours}."]
        )
    rolling = Rolling(test_share, lead_hours=min(limits.lead_hours, champion.lead_hours))
    methods = [
        Method(name, model_method(predictor, rolling).fitted, predictor.context_hours)
        for name, predictor in ((CHALLENGER, challenger), (CHAMPION, champion))
    ]
    results = Results.of(scored(building, with_reference(methods, rolling), rolling) for building in buildings)
    return verdict(results, limits)


def verdict(results: Results, limits: GateLimits) -> Verdict:
    """The verdict on results of the methods `challenger` and `champion`."""
    figures = _figures(results)
    reasons = [*_accuracy(figures, limits), *_calibration(results, figures, limits), *_leads(results, limits)]
    missing = results.unanswered(CHALLENGER) - results.unanswered(CHAMPION)
    if missing > 0:
        reasons.append(f"It gives no number for {missing} measured hours more than the champion.")
    return Verdict(not reasons, reasons, figures)


def _figures(results: Results) -> dict[str, float]:
    nrmse, pinball = (metrics.by_building(results.measured, name) for name in ("nrmse_pct", "pinball_pct"))
    error = metrics.ratio(nrmse[(CHALLENGER, 0)].to_numpy(), nrmse[(CHAMPION, 0)].to_numpy())
    loss = metrics.ratio(pinball[(CHALLENGER, 0)].to_numpy(), pinball[(CHAMPION, 0)].to_numpy())
    return {
        "buildings": float(error.buildings),
        "buildings_better": float(error.better),
        "nrmse_ratio": error.mean.value,
        "nrmse_ratio_low": error.mean.low,
        "nrmse_ratio_high": error.mean.high,
        "pinball_ratio": loss.mean.value,
        "pinball_ratio_low": loss.mean.low,
        "pinball_ratio_high": loss.mean.high,
        **{f"{name}_nrmse_pct": float(nrmse[(name, 0)].median()) for name in (CHALLENGER, CHAMPION, LAST_WEEK)},
        **{
            f"{name}_coverage_pct": float(metrics.shares_pct(results.sums, name)["inside"].iloc[0])
            for name in (CHALLENGER, CHAMPION)
        },
    }


def _accuracy(figures: dict[str, float], limits: GateLimits) -> Iterator[str]:
    buildings, better = int(figures["buildings"]), int(figures["buildings_better"])
    if buildings < limits.least_buildings:
        yield f"Only {buildings} buildings can be scored; {limits.least_buildings} are the least to judge by."
    if not figures["nrmse_ratio_high"] < 1:
        yield (
            f"Its errors are {figures['nrmse_ratio']:.3f} times the champion's (NRMSE, geometric mean; 95 % interval "
            f"{figures['nrmse_ratio_low']:.3f} to {figures['nrmse_ratio_high']:.3f}): the interval must lie below 1."
        )
    if not better > buildings / 2:
        yield f"It is better for {better} of {buildings} buildings: more than half are needed."
    if figures["pinball_ratio_low"] > 1:
        yield (
            f"Its quantiles are worse: pinball loss {figures['pinball_ratio']:.3f} times the champion's "
            f"({figures['pinball_ratio_low']:.3f} to {figures['pinball_ratio_high']:.3f})."
        )


def _calibration(results: Results, figures: dict[str, float], limits: GateLimits) -> Iterator[str]:
    low, high = limits.coverage_pct
    coverage = figures["challenger_coverage_pct"]
    if not low <= coverage <= high:
        yield f"P10 to P90 hold {coverage:.1f} % of the hours: {low:g} to {high:g} % are allowed."
    low, high = limits.lead_coverage_pct
    of_lead = metrics.by_building(results.measured, "coverage_pct", by="lead")[CHALLENGER]
    means = metrics.bootstrap(of_lead.to_numpy(), lambda rows: np.nanmean(rows, axis=0))
    outside = [
        f"{lead + 1} ({one.value:.1f} %)"
        for lead, one in zip(of_lead.columns, means, strict=True)
        if one.high < low or one.low > high
    ]
    if outside:
        yield f"P10 to P90 hold less than {low:g} or more than {high:g} % at lead hours {', '.join(outside)}."


def _leads(results: Results, limits: GateLimits) -> Iterator[str]:
    nrmse = metrics.by_building(results.measured, "nrmse_pct", by="lead")
    leads = nrmse[CHAMPION].columns
    found = metrics.ratios(nrmse[CHALLENGER][leads].to_numpy(), nrmse[CHAMPION].to_numpy())
    worse = [
        f"{lead + 1} ({one.value:.3f} times, {one.low:.3f} to {one.high:.3f})"
        for lead, one in zip(leads, found, strict=True)
        if one.low > 1 and one.value > 1 + limits.lead_worse
    ]
    if worse:
        yield f"Its errors are clearly larger at lead hours {', '.join(worse)}."
