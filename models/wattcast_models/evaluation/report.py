"""The HTML report of a backtest: one file that loads nothing else, readable on a desktop and on a phone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment

from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import FORECAST, MEASURED, UNKNOWN, Rolling, scoring_origins
from wattcast_models.evaluation import charts
from wattcast_models.evaluation.backtest import inputs_at_origins
from wattcast_models.evaluation.comparison import (
    COMPARED_MEASURES,
    MethodComparison,
    medians_by,
    method_comparisons,
    quantile_methods,
)
from wattcast_models.evaluation.metrics import Interval, by_building, shares_pct
from wattcast_models.evaluation.results import Results
from wattcast_models.time_units import DAY_HOURS

MAX_LISTED, MAX_SKIPPED = 200, 20  # buildings in the lists of the page
HEADINGS = {
    "nrmse_pct": "NRMSE %",
    "nmae_pct": "NMAE %",
    "nmbe_pct": "NMBE %",
    "pinball_pct": "pinball %",
    "coverage_pct": "P10-P90 covers %",
    "skill_pct": "skill %",
}
FUTURE_WEATHER = {UNKNOWN: "unknown", FORECAST: "as measured, with the errors of forecasts", MEASURED: "as measured"}


def write_report(
    file: Path, results: Results, main: str, rolling: Rolling, *, week: charts.ExampleWeek | None = None
) -> None:
    """Write the page with its charts; `main` is the method that the others are compared with."""
    file.write_text(report_html(results, main, rolling, week=week), encoding="utf-8")


def report_html(results: Results, main: str, rolling: Rolling, *, week: charts.ExampleWeek | None = None) -> str:
    """The HTML of the report."""
    comparisons = method_comparisons(results, main)
    methods = [comparison.method for comparison in comparisons]
    nrmse = _nrmse(results)[methods]
    skipped = list(results.skipped.items())
    template = Environment(autoescape=True).from_string(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))
    return template.render(
        main=main,
        methods=methods,
        buildings=len(nrmse),
        share=f"{100 * rolling.test_share:g}",
        origins=", ".join(f"{hour}:00" for hour in rolling.origin_hours),
        lead_hours=rolling.lead_hours,
        weather=FUTURE_WEATHER[rolling.future_weather],
        without=", ".join(rolling.without),
        hours=_scored_hours(results, main),
        headings=[HEADINGS[name] for name in COMPARED_MEASURES],
        rows=[_row(comparison, is_main=comparison.method == main) for comparison in comparisons],
        pictures=pictures(results, comparisons, week),
        listed=[(building, row.tolist()) for building, row in nrmse.head(MAX_LISTED).iterrows()],
        skipped=skipped[:MAX_SKIPPED],
        more_skipped=max(len(skipped) - MAX_SKIPPED, 0),
    )


def pictures(
    results: Results, comparisons: Sequence[MethodComparison], week: charts.ExampleWeek | None
) -> list[charts.Picture]:
    """All charts in the order of the page."""
    methods = [comparison.method for comparison in comparisons]
    with_quantiles = [method for method in methods if method in quantile_methods(results)]
    coverage = {method: shares_pct(results.sums, method, by="lead")["inside"] for method in with_quantiles}
    return [
        charts.accuracy(comparisons),
        charts.by_group(medians_by(results, "lead"), methods, "Accuracy by lead", "lead hour"),
        charts.by_group(medians_by(results, "hour"), methods, "Accuracy by hour of the day", "local hour of the day"),
        charts.by_group(medians_by(results, "weekday"), methods, "Accuracy by weekday", "weekday"),
        charts.by_group(medians_by(results, "season"), methods, "Accuracy by season", "season"),
        charts.by_building(_nrmse(results), methods),
        charts.calibration({method: shares_pct(results.sums, method) for method in with_quantiles}),
        charts.coverage_by_lead(coverage),
        *([charts.example(week, methods[0])] if week else []),
    ]


def typical_building(results: Results, main: str) -> str:
    """The building with the median NRMSE of the main method."""
    ordered = _nrmse(results)[main].sort_values(kind="stable")
    return str(ordered.index[len(ordered) // 2])


def example_week(building: Building, predictor: Predictor, rolling: Rolling) -> charts.ExampleWeek | None:
    """Day-ahead forecasts of the newest seven consecutive days that can be scored; None where there are none."""
    origins = scoring_origins(building, Rolling(rolling.test_share))
    days = origins.pick(np.arange(max(len(origins) - 7, 0), len(origins)))
    if not len(days):
        return None
    inputs, actual = inputs_at_origins(building, days, context_hours=predictor.context_hours, lead_hours=DAY_HOURS)
    hours = (building.start + days.hour[:, None] + np.arange(DAY_HOURS)).ravel().astype("datetime64[h]")
    quantiles = predictor(inputs).reshape(len(hours), -1)  # (hours, 3)
    return charts.ExampleWeek(building.building_id, hours, actual.astype(float).ravel(), quantiles)


def _nrmse(results: Results) -> pd.DataFrame:
    """NRMSE in %, a row per building and a column per method."""
    return by_building(results.measures, "nrmse_pct").droplevel("group", axis=1)


def _scored_hours(results: Results, main: str) -> int:
    is_main = (results.sums["method"] == main) & (results.sums["by"] == "all")
    return int(results.sums.loc[is_main, "hours"].sum())


def _row(comparison: MethodComparison, *, is_main: bool) -> tuple[str, list[tuple[str, str]], str]:
    """A table row: method, cells (value, interval) of measures and ratio, buildings where the main method is better."""
    cells = [_cell(comparison.medians[name], digits=1) for name in COMPARED_MEASURES]
    if is_main:
        return comparison.method, [*cells, ("-", "")], "-"
    ratio = comparison.ratio
    return comparison.method, [*cells, _cell(ratio.mean, digits=3)], f"{ratio.better} of {ratio.buildings}"


def _cell(interval: Interval, *, digits: int) -> tuple[str, str]:
    if not np.isfinite(interval.value):
        return "-", ""
    return f"{interval.value:.{digits}f}", f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"
