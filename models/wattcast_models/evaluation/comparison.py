"""Methods side by side on the same hours: the results of a backtest as plain values for JSON, tables and charts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from wattcast_models.evaluation.metrics import (
    MEASURES,
    ErrorRatio,
    Floats,
    Interval,
    by_building,
    error_ratio,
    median_interval,
    shares_pct,
)
from wattcast_models.evaluation.results import Results

GROUPINGS = ("lead", "hour", "weekday", "season")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SEASONS = ("Dec-Feb", "Mar-May", "Jun-Aug", "Sep-Nov")
COMPARED_MEASURES = ("nrmse_pct", "nmae_pct", "nmbe_pct", "pinball_pct", "coverage_pct", "skill_pct")


@dataclass(frozen=True)
class MethodComparison:
    """One method over all buildings: the medians of its measures, and how the main method compares with it."""

    method: str
    medians: dict[str, Interval]  # by the names in COMPARED_MEASURES
    ratio: ErrorRatio  # the NRMSE of the main method over that of this method
    unanswered: int  # measured hours without a value


def method_comparisons(results: Results, main: str) -> list[MethodComparison]:
    """The main method first, then the others by their median NRMSE."""
    tables = {name: by_building(results.measures, name) for name in COMPARED_MEASURES}
    main_nrmse = tables["nrmse_pct"][(main, 0)].to_numpy()
    comparisons = []
    for method in results.methods:
        values = {name: _values(table, method) for name, table in tables.items()}
        medians = {name: median_interval(value) for name, value in values.items()}
        ratio = error_ratio(main_nrmse, values["nrmse_pct"])
        comparisons.append(MethodComparison(method, medians, ratio, results.unanswered(method)))
    return sorted(comparisons, key=lambda row: (row.method != main, row.medians["nrmse_pct"].value))


def _values(table: pd.DataFrame, method: str) -> Floats:
    """The measure of a method per building; NaN where the measure is undefined, as the coverage of a point forecast."""
    return table[(method, 0)].to_numpy() if (method, 0) in table else np.full(len(table), np.nan)


def medians_by(results: Results, by: str, measure: str = "nrmse_pct") -> pd.DataFrame:
    """The median of a measure over buildings, one row per group with its label, one column per method."""
    table = by_building(results.measures, measure, by=by).median().unstack("method")
    table.index = pd.Index([group_label(by, int(group)) for group in table.index], name=by)
    return table


def group_label(by: str, group: int) -> str:
    """The name of a group: leads from 1 on, hours of the day, weekdays and seasons."""
    labels: Mapping[str, str] = {
        "all": "all",
        "lead": str(group + 1),
        "hour": str(group),
        "weekday": WEEKDAYS[group % 7],
        "season": SEASONS[group % 4],
    }
    return labels[by]


def quantile_methods(results: Results) -> list[str]:
    """The methods that forecast P10 and P90 besides the median."""
    inside = results.sums[results.sums["by"] == "all"].groupby("method")["inside"].sum(min_count=1)
    return sorted(str(method) for method in inside.dropna().index)


def long_table(results: Results) -> pd.DataFrame:
    """All measures, one row per building, method and group, with labels for the groups."""
    table = results.measures
    labels = [group_label(str(by), int(group)) for by, group in zip(table["by"], table["group"], strict=True)]
    return table.assign(group=labels, hours=table["hours"].astype(int))


def comparison_as_json(results: Results, main: str) -> dict[str, object]:
    """The part of the JSON file that compares methods."""
    methods = quantile_methods(results)
    return {
        "methods": [asdict(comparison) for comparison in method_comparisons(results, main)],
        "median_nrmse_pct_by": {by: medians_by(results, by).to_dict("index") for by in GROUPINGS},
        "share_of_hours_pct": {name: shares_pct(results.sums, name).to_dict("records")[0] for name in methods},
        "coverage_pct_by_lead": {
            name: shares_pct(results.sums, name, by="lead")["inside"].tolist() for name in methods
        },
        "skipped": results.skipped,
    }


def measures_by_building(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """MEASURES by building and method."""
    overall = results.measures[results.measures["by"] == "all"]
    measures: dict[str, dict[str, dict[str, float]]] = {}
    for row in overall.to_dict("records"):
        values = {name: float(row[name]) for name in MEASURES}
        measures.setdefault(str(row["building_id"]), {})[str(row["method"])] = values
    return measures


def nan_as_none(value: object) -> object:
    """The same value with None for NaN and infinite numbers, which JSON cannot hold."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): nan_as_none(item) for name, item in value.items()}
    return [nan_as_none(item) for item in value] if isinstance(value, list | tuple) else value
