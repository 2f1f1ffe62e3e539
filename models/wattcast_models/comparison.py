"""Methods side by side on the same hours: what a backtest says, as plain values for JSON, tables and charts."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from wattcast_models.backtest import SEASONS, Results
from wattcast_models.metrics import MEASURES, Interval, Ratio, by_building, median, ratio, shares_pct

GROUPINGS = ("lead", "hour", "weekday", "season")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
COMPARED = ("nrmse_pct", "nmae_pct", "nmbe_pct", "pinball_pct", "coverage_pct", "skill_pct")


@dataclass(frozen=True)
class Line:
    """One method over all buildings: medians of the buildings' figures, and how the main method compares with it."""

    method: str
    medians: dict[str, Interval]  # by the names in COMPARED
    ratio: Ratio  # of the main method's NRMSE to this one's
    unanswered: int  # measured hours without a value


def lines(results: Results, main: str) -> list[Line]:
    """The main method first, then the others from the best median on."""
    figures = {name: by_building(results.measured, name) for name in COMPARED}
    own = figures["nrmse_pct"][(main, 0)].to_numpy()
    found = []
    for method in results.methods:
        values = {name: _column(table, method) for name, table in figures.items()}
        against = ratio(own, values["nrmse_pct"])
        medians = {name: median(value) for name, value in values.items()}
        found.append(Line(method, medians, against, results.unanswered(method)))
    return sorted(found, key=lambda line: (line.method != main, line.medians["nrmse_pct"].value))


def _column(table: pd.DataFrame, method: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """A method's figure per building; NaN where the figure says nothing of it, as the coverage of a point."""
    return table[(method, 0)].to_numpy() if (method, 0) in table else np.full(len(table), np.nan)


def medians_by(results: Results, by: str, figure: str = "nrmse_pct") -> pd.DataFrame:
    """The median over buildings of a figure, one row per group with its label, one column per method."""
    table = by_building(results.measured, figure, by=by).median().unstack("method")
    table.index = pd.Index([label(by, int(group)) for group in table.index], name=by)
    return table


def label(by: str, group: int) -> str:
    """A group as a reader counts it: leads from 1 on, hours of the day, names of weekdays and seasons."""
    labels: Mapping[str, str] = {
        "all": "all",
        "lead": str(group + 1),
        "hour": str(group),
        "weekday": WEEKDAYS[group % 7],
        "season": SEASONS[group % 4],
    }
    return labels[by]


def quantile_methods(results: Results) -> list[str]:
    """The methods that say how sure they are."""
    whole = results.sums[results.sums["by"] == "all"].groupby("method")["inside"].sum(min_count=1)
    return sorted(str(method) for method in whole.dropna().index)


def long_table(results: Results) -> pd.DataFrame:
    """All figures, one row per building, method and group, with labels for the groups."""
    table = results.measured
    labels = [label(str(by), int(group)) for by, group in zip(table["by"], table["group"], strict=True)]
    return table.assign(group=labels, hours=table["hours"].astype(int))


def as_json(results: Results, main: str) -> dict[str, object]:
    """What the JSON file says beside the list of buildings; what is not known is null."""
    compared = [asdict(line) for line in lines(results, main)]
    groups = {by: medians_by(results, by).to_dict("index") for by in GROUPINGS}
    calibration = {
        method: shares_pct(results.sums, method).to_dict("records")[0] for method in quantile_methods(results)
    }
    leads = {
        method: shares_pct(results.sums, method, by="lead")["inside"].tolist() for method in quantile_methods(results)
    }
    return {
        "methods": compared,
        "median_nrmse_pct_by": groups,
        "share_of_hours_pct": calibration,
        "coverage_pct_by_lead": leads,
        "skipped": results.skipped,
    }


def figures_by_building(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """MEASURES by building and method."""
    whole = results.measured[results.measured["by"] == "all"]
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in whole.to_dict("records"):
        figures = {name: float(row[name]) for name in MEASURES}
        found.setdefault(str(row["building_id"]), {})[str(row["method"])] = figures
    return found


def without_nan(value: object) -> object:
    """The same with None for NaN and infinite numbers, which JSON does not know."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): without_nan(each) for name, each in value.items()}
    return [without_nan(each) for each in value] if isinstance(value, list | tuple) else value
