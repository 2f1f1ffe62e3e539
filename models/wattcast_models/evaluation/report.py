"""The HTML report of a backtest: one file without anything from outside, for a desk and for a phone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from jinja2 import Environment

from wattcast_models import charts
from wattcast_models.backtest import Results, known_inputs
from wattcast_models.comparison import COMPARED, Line, lines, medians_by, quantile_methods
from wattcast_models.metrics import Interval, by_building, shares_pct
from wattcast_models.predictor import Predictor
from wattcast_models.readings import Building
from wattcast_models.rolling import DAY, FORECAST, MEASURED, UNKNOWN, Rolling, scoring_origins

BUILDINGS_LISTED, SKIPPED_LISTED = 200, 20
HEADINGS = {
    "nrmse_pct": "NRMSE %",
    "nmae_pct": "NMAE %",
    "nmbe_pct": "NMBE %",
    "pinball_pct": "pinball %",
    "coverage_pct": "P10-P90 covers %",
    "skill_pct": "skill %",
}


def write_report(
    file: Path, results: Results, main: str, rolling: Rolling, *, week: charts.ExampleWeek | None = None
) -> None:
    """The page, with the charts inside it; `main` is the method that the others are compared with."""
    file.write_text(page(results, main, rolling, week=week), encoding="utf-8")


def page(results: Results, main: str, rolling: Rolling, *, week: charts.ExampleWeek | None = None) -> str:
    """The HTML of the report."""
    compared = lines(results, main)
    methods = [line.method for line in compared]
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
        weather={UNKNOWN: "unknown", FORECAST: "as measured, with the errors of forecasts", MEASURED: "as measured"}[
            rolling.future_weather
        ],
        without=", ".join(rolling.without),
        hours=_scored_hours(results, main),
        headings=[HEADINGS[name] for name in COMPARED],
        rows=[_row(line, is_main=line.method == main) for line in compared],
        pictures=pictures(results, compared, week),
        listed=[(building, row.tolist()) for building, row in nrmse.head(BUILDINGS_LISTED).iterrows()],
        skipped=skipped[:SKIPPED_LISTED],
        more_skipped=max(len(skipped) - SKIPPED_LISTED, 0),
    )


def pictures(results: Results, compared: Sequence[Line], week: charts.ExampleWeek | None) -> list[charts.Picture]:
    """All charts in the order of the page."""
    methods = [line.method for line in compared]
    shown = [
        charts.accuracy(compared),
        charts.by_group(medians_by(results, "lead"), methods, "Accuracy by lead", "lead hour"),
        charts.by_group(medians_by(results, "hour"), methods, "Accuracy by hour of the day", "local hour of the day"),
        charts.by_group(medians_by(results, "weekday"), methods, "Accuracy by weekday", "weekday"),
        charts.by_group(medians_by(results, "season"), methods, "Accuracy by season", "season"),
        charts.by_building(_nrmse(results), methods),
    ]
    sure = [method for method in methods if method in quantile_methods(results)]
    shown.append(charts.calibration({method: shares_pct(results.sums, method) for method in sure}))
    inside = {method: shares_pct(results.sums, method, by="lead")["inside"] for method in sure}
    shown.append(charts.coverage_by_lead(inside))
    return shown + ([charts.example(week, methods[0])] if week else [])


def typical_building(results: Results, main: str) -> str:
    """The building with the middle NRMSE of the main method."""
    ordered = _nrmse(results)[main].sort_values(kind="stable")
    return str(ordered.index[len(ordered) // 2])


def example_week(building: Building, predictor: Predictor, rolling: Rolling) -> charts.ExampleWeek | None:
    """Day-ahead bands of the newest seven days in a row that can be scored; None where there are none."""
    origins = scoring_origins(building, Rolling(rolling.test_share))
    days = origins.pick(np.arange(max(len(origins) - 7, 0), len(origins)))
    if not len(days):
        return None
    inputs, actual = known_inputs(building, days, context_hours=predictor.context_hours, lead_hours=DAY)
    hours = (building.start + days.hour[:, None] + np.arange(DAY)).ravel().astype("datetime64[h]")
    quantiles = predictor(inputs).reshape(len(hours), -1)  # (hours, 3)
    return charts.ExampleWeek(building.building_id, hours, actual.astype(float).ravel(), quantiles)


def _nrmse(results: Results) -> pd.DataFrame:
    """NRMSE in %, a row per building and a column per method."""
    return by_building(results.measured, "nrmse_pct").droplevel("group", axis=1)


def _scored_hours(results: Results, main: str) -> int:
    own = (results.sums["method"] == main) & (results.sums["by"] == "all")
    return int(results.sums.loc[own, "hours"].sum())


def _row(line: Line, *, is_main: bool) -> tuple[str, list[tuple[str, str]], str]:
    """A method's cells: value and interval by figure, the ratio too, and how many buildings the main method is better for."""
    cells = [_cell(line.medians[name], digits=1) for name in COMPARED]
    if is_main:
        return line.method, [*cells, ("-", "")], "-"
    return line.method, [*cells, _cell(line.ratio.mean, digits=3)], f"{line.ratio.better} of {line.ratio.buildings}"


def _cell(one: Interval, *, digits: int) -> tuple[str, str]:
    if not np.isfinite(one.value):
        return "-", ""
    return f"{one.value:.{digits}f}", f"{one.low:.{digits}f} to {one.high:.{digits}f}"
