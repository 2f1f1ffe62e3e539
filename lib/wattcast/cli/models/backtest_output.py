"""The outputs of a backtest: a table in the terminal, a JSON file, and an entry for the model card."""

import json
from dataclasses import asdict
from math import isfinite
from pathlib import Path

from rich.table import Table

from wattcast.terminal.console import plain
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.rolling import Rolling
from wattcast_models.evaluation.backtest import model_name
from wattcast_models.evaluation.comparison import (
    MethodComparison,
    comparison_as_json,
    measures_by_building,
    method_comparisons,
    nan_as_none,
)
from wattcast_models.evaluation.results import Results
from wattcast_models.evaluation.scores import method_scores, score_summary

TABLE_MEASURES = ("nrmse_pct", "nmae_pct", "nmbe_pct", "pinball_pct", "coverage_pct")
MAX_SKIPPED = 3  # buildings named below the table


def write_json(file: Path, results: Results, predictor: Predictor, rolling: Rolling) -> None:
    """Write the model, its medians, an entry per building, and all methods side by side."""
    main_method = model_name(predictor)
    scores, measures = method_scores(results, main_method), measures_by_building(results)
    content = {
        "model": predictor.name,
        "version": predictor.version,
        "protocol": asdict(rolling),
        "median": score_summary(scores),
        "buildings": [asdict(score) | {"methods": measures[score.building_id]} for score in scores],
        **comparison_as_json(results, main_method),
    }
    file.write_text(json.dumps(nan_as_none(content), indent=2) + "\n")


def evaluation_entry(results: Results, predictor: Predictor, rolling: Rolling, data: Path) -> dict[str, object]:
    """The entry `evaluation` of a model's config: the protocol, the medians, and the ratio to each other method."""
    main, *others = method_comparisons(results, model_name(predictor))
    origins = ", ".join(f"{hour}:00" for hour in rolling.origin_hours)
    protocol = (
        f"Rolling origins at {origins} (standard time of the building) over the last {rolling.test_share:.0%} of each "
        f"building's time, {rolling.lead_hours} hours ahead, weather ahead {rolling.future_weather}. {data.name}, "
        f"{len(results.buildings)} buildings. Figures are medians over the buildings, in % of each building's mean load; the "
        "ratio is the geometric mean over the buildings of this model's NRMSE to the other's, with its 95 % interval."
    )
    medians = {name: round(interval.value, 2) for name, interval in main.medians.items()}
    ratios = {
        f"NRMSE over that of {other.method}": f"{_ratio(other)}, better for {other.ratio.better} of {other.ratio.buildings}"
        for other in others
    }
    return {"protocol": protocol, "figures": medians | ratios}


def summary_table(results: Results, main_method: str) -> Table:
    """Medians over the buildings, the methods side by side, on the same hours."""
    table = Table(title=f"Median of {len(results.buildings)} buildings, % of mean load")
    headings = ("", "NRMSE", "NMAE", "NMBE", "pinball", "P10-P90 covers", f"{main_method} / this (95 %)", "better for")
    for heading in headings:
        table.add_column(plain(heading), justify="right" if heading else "left")
    for comparison in method_comparisons(results, main_method):
        medians = [comparison.medians[name].value for name in TABLE_MEASURES]
        cells = [f"{value:.1f}" if isfinite(value) else "-" for value in medians]
        ratio = comparison.ratio
        is_main = comparison.method == main_method
        against = ["-", "-"] if is_main else [_ratio(comparison), f"{ratio.better} of {ratio.buildings}"]
        table.add_row(plain(comparison.method), *cells, *against)
    if results.skipped:
        examples = [f"{building_id} {reason}" for building_id, reason in results.skipped.items()][:MAX_SKIPPED]
        table.caption = plain(f"{len(results.skipped)} not scored: {'; '.join(examples)}")
    return table


def _ratio(comparison: MethodComparison) -> str:
    mean = comparison.ratio.mean
    return f"{mean.value:.3f} ({mean.low:.3f} to {mean.high:.3f})"
