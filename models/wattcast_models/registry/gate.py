"""The gate: a challenger replaces the champion only if it is better on the same hours of the same buildings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import Rolling
from wattcast_models.evaluation import metrics
from wattcast_models.evaluation.backtest import building_error_sums, model_method, with_reference
from wattcast_models.evaluation.baselines import LAST_WEEK, Method
from wattcast_models.evaluation.results import Results
from wattcast_models.time_units import DAY_HOURS

CHALLENGER, CHAMPION = "challenger", "champion"
TEST_SHARE = 0.2  # of the time of each building, at its end


@dataclass(frozen=True)
class GateLimits:
    """The limits of the gate.

    P10 to P90 should cover 80 % of the hours. Overall the coverage may differ by 5 points, as weeks differ that much. At a
    single lead it may differ by 10 points, and only an interval that lies outside these limits counts, since a lead has few
    hours. A lead is clearly worse if its errors grow by more than `max_lead_increase` and the interval of that ratio lies above
    1: among many leads, the interval of a few lies above 1 by chance.
    """

    min_buildings: int = 5
    coverage_pct: tuple[float, float] = (75.0, 85.0)
    lead_coverage_pct: tuple[float, float] = (70.0, 90.0)
    max_lead_increase: float = 0.02
    lead_hours: int = DAY_HOURS


@dataclass(frozen=True)
class GateDecision:
    """Whether the challenger is accepted, with the figures behind the decision."""

    is_accepted: bool
    reasons: list[str]  # for a refusal, in sentences; empty when accepted
    figures: dict[str, float] = field(default_factory=dict)


def judge(
    challenger: Predictor,
    champion: Predictor,
    buildings: Sequence[Building],
    *,
    test_share: float = TEST_SHARE,
    limits: GateLimits = GateLimits(),
) -> GateDecision:
    """The decision on a challenger after both models forecast the last weeks of the buildings from each midnight.

    Only hours for which both have a value are compared. Raises ValueError when no building can be scored.
    """
    if challenger.lead_hours < min(limits.lead_hours, champion.lead_hours):
        return GateDecision(
            False, [f"It forecasts {challenger.lead_hours} hours ahead; the champion forecasts {champion.lead_hours}."]
        )
    rolling = Rolling(test_share, lead_hours=min(limits.lead_hours, champion.lead_hours))
    methods = [
        Method(name, model_method(predictor, rolling).fit, predictor.context_hours)
        for name, predictor in ((CHALLENGER, challenger), (CHAMPION, champion))
    ]
    results = Results.from_parts(
        building_error_sums(building, with_reference(methods, rolling), rolling) for building in buildings
    )
    return decide(results, limits)


def decide(results: Results, limits: GateLimits) -> GateDecision:
    """The decision from the backtest results of the methods `challenger` and `champion`."""
    figures = _figures(results)
    reasons = [*_accuracy(figures, limits), *_calibration(results, figures, limits), *_leads(results, limits)]
    missing = results.unanswered(CHALLENGER) - results.unanswered(CHAMPION)
    if missing > 0:
        reasons.append(f"It has no value for {missing} more measured hours than the champion.")
    return GateDecision(not reasons, reasons, figures)


def _figures(results: Results) -> dict[str, float]:
    nrmse, pinball = (metrics.by_building(results.measures, name) for name in ("nrmse_pct", "pinball_pct"))
    error = metrics.error_ratio(nrmse[(CHALLENGER, 0)].to_numpy(), nrmse[(CHAMPION, 0)].to_numpy())
    loss = metrics.error_ratio(pinball[(CHALLENGER, 0)].to_numpy(), pinball[(CHAMPION, 0)].to_numpy())
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
    if buildings < limits.min_buildings:
        yield f"Only {buildings} buildings can be scored; at least {limits.min_buildings} are needed."
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
        yield f"P10 to P90 cover {coverage:.1f} % of the hours: {low:g} to {high:g} % are allowed."
    low, high = limits.lead_coverage_pct
    by_lead = metrics.by_building(results.measures, "coverage_pct", by="lead")[CHALLENGER]
    means = metrics.bootstrap_intervals(by_lead.to_numpy(), lambda rows: np.nanmean(rows, axis=0))
    outside = [
        f"{lead + 1} ({mean.value:.1f} %)"
        for lead, mean in zip(by_lead.columns, means, strict=True)
        if mean.high < low or mean.low > high
    ]
    if outside:
        yield f"P10 to P90 cover less than {low:g} or more than {high:g} % at lead hours {', '.join(outside)}."


def _leads(results: Results, limits: GateLimits) -> Iterator[str]:
    nrmse = metrics.by_building(results.measures, "nrmse_pct", by="lead")
    leads = nrmse[CHAMPION].columns
    ratios = metrics.error_ratio_intervals(nrmse[CHALLENGER][leads].to_numpy(), nrmse[CHAMPION].to_numpy())
    worse = [
        f"{lead + 1} ({ratio.value:.3f} times, {ratio.low:.3f} to {ratio.high:.3f})"
        for lead, ratio in zip(leads, ratios, strict=True)
        if ratio.low > 1 and ratio.value > 1 + limits.max_lead_increase
    ]
    if worse:
        yield f"Its errors are clearly larger at lead hours {', '.join(worse)}."
