"""Charts of a backtest as inline SVG pictures, small enough that a phone shows them in full width."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from wattcast_models.evaluation.baselines import Floats
from wattcast_models.evaluation.comparison import MethodComparison
from wattcast_models.quantiles import QUANTILES

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#555555",
)  # distinguishable for colour-blind readers
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.hashsalt": "wattcast"}
NOMINAL_PCT = 100 * (QUANTILES[-1] - QUANTILES[0])


@dataclass(frozen=True)
class Picture:
    """A chart as a data URI, with its alternative text."""

    title: str
    alt: str
    uri: str


@dataclass(frozen=True)
class ExampleWeek:
    """Day-ahead forecasts and measured energy over the same hours; NaN where nothing was measured."""

    building_id: str
    hours: "np.ndarray[tuple[int], np.dtype[np.datetime64]]"  # UTC
    actual_kwh: Floats
    quantiles_kwh: Floats  # (hours, 3)


class _Drawing:
    """A figure with one pair of axes that can be saved as a picture."""

    def __init__(self, height: float) -> None:
        self.figure = Figure(figsize=(4.8, height), layout="constrained")
        self.axes: Axes = self.figure.add_subplot()
        self.axes.grid(alpha=0.3)

    def picture(self, title: str, alt: str) -> Picture:
        content = io.BytesIO()
        self.figure.savefig(content, format="svg", metadata={"Date": None, "Title": title})
        uri = "data:image/svg+xml;base64," + base64.b64encode(content.getvalue()).decode()
        return Picture(title, alt, uri)


@contextmanager
def _drawing(height: float = 3.4) -> Iterator[_Drawing]:
    with mpl.rc_context(STYLE):
        yield _Drawing(height)


def accuracy(comparisons: Sequence[MethodComparison]) -> Picture:
    """Median NRMSE by method with its interval."""
    with _drawing(0.9 + 0.34 * len(comparisons)) as drawing:
        medians = {comparison.method: comparison.medians["nrmse_pct"] for comparison in comparisons}
        values = np.array([median.value for median in medians.values()])
        below = [median.value - median.low for median in medians.values()]
        above = [median.high - median.value for median in medians.values()]
        position = np.arange(len(medians))[::-1]
        drawing.axes.errorbar(values, position, xerr=np.abs([below, above]), fmt="none", ecolor="#777777", capsize=3)
        drawing.axes.scatter(values, position, color=[_colour(number) for number in range(len(medians))], zorder=3)
        drawing.axes.set_yticks(position, list(medians))
        drawing.axes.set_xlim(left=0)
        drawing.axes.set_xlabel("NRMSE, median of buildings, % of mean load")
        listed = ", ".join(f"{method} {median.value:.1f} %" for method, median in medians.items())
        return drawing.picture("Accuracy by method", f"Median NRMSE with 95 % intervals: {listed}.")


def by_group(table: pd.DataFrame, methods: Sequence[str], title: str, grouping: str) -> Picture:
    """Median NRMSE along the groups of `table`, one line per method."""
    with _drawing() as drawing:
        position = np.arange(len(table))
        step = max(1, len(table) // 8)
        for number, method in enumerate(methods):
            style = _style(number) | {"linewidth": 2.2 if number == 0 else 1.1}
            drawing.axes.plot(position, table[method], label=method, markevery=step, **style)
        drawing.axes.set_xticks(position[::step], list(table.index[::step]))
        drawing.axes.set_ylim(bottom=0)
        drawing.axes.set_xlabel(grouping)
        drawing.axes.set_ylabel("NRMSE, median of buildings, %")
        _legend(drawing, len(methods))
        main = table[methods[0]]
        lowest, highest = (f"{main[name]:.1f} % ({name})" for name in (main.idxmin(), main.idxmax()))
        alt = f"NRMSE by {grouping}: {methods[0]} between {lowest} and {highest}."
        return drawing.picture(title, alt)


def by_building(nrmse: pd.DataFrame, methods: Sequence[str]) -> Picture:
    """The distribution of NRMSE over buildings, sorted, so that thousands of buildings fit."""
    with _drawing() as drawing:
        for number, method in enumerate(methods):
            values = np.sort(nrmse[method].dropna().to_numpy())
            share = 100 * (np.arange(len(values)) + 0.5) / max(len(values), 1)
            drawing.axes.plot(share, values, label=method, markevery=max(1, len(values) // 8), **_style(number))
        drawing.axes.set_yscale("log")
        drawing.axes.yaxis.set_major_formatter("{x:g}")
        drawing.axes.yaxis.set_minor_formatter("{x:g}")
        drawing.axes.tick_params(axis="y", which="minor", labelsize=6)
        drawing.axes.set_xlabel("% of the buildings are at or below")
        drawing.axes.set_ylabel("NRMSE, % of mean load")
        _legend(drawing, len(methods))
        best, worst = nrmse[methods[0]].idxmin(), nrmse[methods[0]].idxmax()
        alt = f"Each method's NRMSE by building, sorted; {methods[0]} is best at {best} and worst at {worst}."
        return drawing.picture("Accuracy by building", alt)


def calibration(shares: dict[str, pd.DataFrame]) -> Picture:
    """By method, the observed share of hours at or below P10, P50 and P90 over the nominal share."""
    with _drawing() as drawing:
        nominal = 100 * np.array(QUANTILES)
        drawing.axes.plot([0, 100], [0, 100], color="#777777", linestyle="--", linewidth=1, label="perfect")
        for number, (method, share) in enumerate(shares.items()):
            observed = share[["below_p10", "below_p50", "below_p90"]].to_numpy()[0]
            drawing.axes.plot(nominal, observed, label=method, **_style(number))
        drawing.axes.set_xlabel("nominal: % of hours that should lie at or below")
        drawing.axes.set_ylabel("observed, % of hours")
        _legend(drawing, len(shares) + 1)
        rows = {method: share.iloc[0] for method, share in shares.items()}
        listed = "; ".join(
            f"{method} P10 {row['below_p10']:.1f} %, P50 {row['below_p50']:.1f} %, P90 {row['below_p90']:.1f} %"
            for method, row in rows.items()
        )
        return drawing.picture("Calibration", f"Hours at or below each quantile: {listed}.")


def coverage_by_lead(inside: dict[str, pd.Series]) -> Picture:
    """By method, the share of hours inside P10 to P90 by lead hour."""
    with _drawing() as drawing:
        drawing.axes.axhline(NOMINAL_PCT, color="#777777", linestyle="--", linewidth=1, label="nominal")
        for number, (method, share) in enumerate(inside.items()):
            drawing.axes.plot(np.asarray(share.index) + 1, share.to_numpy(), color=_colour(number), label=method)
        drawing.axes.set_ylim(50, 100)
        drawing.axes.set_xlabel("lead hour")
        drawing.axes.set_ylabel("inside P10 to P90, % of hours")
        _legend(drawing, len(inside) + 1)
        listed = "; ".join(f"{method} {share.min():.1f} to {share.max():.1f} %" for method, share in inside.items())
        return drawing.picture("Coverage by lead", f"Hours inside P10 to P90 over the leads: {listed}.")


def example(week: ExampleWeek, method: str) -> Picture:
    """A week of day-ahead forecasts with the measured energy."""
    with _drawing() as drawing:
        low, middle, high = week.quantiles_kwh.T
        drawing.axes.fill_between(week.hours, low, high, color=_colour(0), alpha=0.25, linewidth=0, label="P10 to P90")
        drawing.axes.plot(week.hours, middle, color=_colour(0), linewidth=1.2, label="P50")
        drawing.axes.plot(week.hours, week.actual_kwh, color="black", linewidth=1, label="measured")
        days = pd.DatetimeIndex(week.hours).normalize().unique()
        drawing.axes.set_xticks(days.to_numpy(), labels=days.strftime("%a\n%d %b").tolist())
        drawing.axes.set_ylabel("kWh")
        _legend(drawing, 3)
        inside = (week.actual_kwh >= low) & (week.actual_kwh <= high)
        share = 100 * inside[np.isfinite(week.actual_kwh)].mean()
        alt = f"{week.building_id}, a week from {week.hours[0]} UTC: {share:.0f} % of the hours lie inside the band of {method}."
        return drawing.picture(f"A week of {week.building_id}", alt)


def losses(checks: Sequence[tuple[int, Mapping[str, float]]]) -> Figure:
    """The losses of a training run, in scaled units, at each check: (step, losses by name)."""
    with _drawing() as drawing:
        steps = [step for step, _ in checks]
        names = list(checks[0][1]) if checks else []
        for number, name in enumerate(names):
            values = [losses[name] for _, losses in checks]
            drawing.axes.plot(steps, values, label=name.replace("_", " "), **_style(number))
        drawing.axes.set_xlabel("step")
        drawing.axes.set_ylabel("mean pinball loss, scaled units")
        _legend(drawing, len(names))
        return drawing.figure


def width_factors(calibration: Mapping[str, Sequence[float]]) -> Figure:
    """The factor by which calibration scales the distance of each quantile from the median, by lead hour."""
    with _drawing() as drawing:
        for number, (level, factors) in enumerate(calibration.items()):
            drawing.axes.plot(range(len(factors)), factors, color=_colour(number), label=f"P{100 * float(level):g}")
        drawing.axes.axhline(1, color="#777777", linewidth=0.8)
        drawing.axes.set_xlabel("lead hour")
        drawing.axes.set_ylabel("factor of the width")
        _legend(drawing, len(calibration))
        return drawing.figure


def _style(number: int) -> dict[str, Any]:
    return {"color": _colour(number), "marker": MARKERS[number % len(MARKERS)], "markersize": 4}


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _legend(drawing: _Drawing, entries: int) -> None:
    drawing.figure.legend(
        loc="outside upper center", ncols=2 if entries > 3 else max(entries, 1), fontsize=8, frameon=False
    )
