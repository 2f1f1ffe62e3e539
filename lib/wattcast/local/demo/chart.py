"""An HTML page with forecast bands over actual use: plain SVG, which needs no internet."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from wattcast.forecast.quantiles import QUANTILE_COLUMNS

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 1100, 260, 60, 26, 10
LABELS = 12
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Wattcast: forecasts over actual use</title>
<meta name="viewport" content="width=device-width"><style>body{{font:15px system-ui,sans-serif;
margin:2rem;max-width:1140px;color:#222}}
svg{{width:100%;height:auto}}text{{font-size:12px;fill:#555}}.band{{fill:#f2b134;opacity:.4}}
.median{{fill:none;stroke:#c26a00;stroke-width:1.6}}
.actual{{fill:none;stroke:#1f4e79;stroke-width:1.6}}.grid{{stroke:#ddd}}</style><h1>Forecasts over actual use</h1>
<p>Blue: energy used, kWh per hour. Orange: the median of the forecasts made once
a day, and the band that should contain 80 % of the hours.</p>
{charts}</html>"""


def write_chart(file: Path, buildings: dict[str, pd.DataFrame]) -> None:
    """One chart per building; each frame has target_hour, p10_kwh, p50_kwh, p90_kwh and energy_usage_kwh (NaN where unknown)."""
    charts = "".join(
        f"<h2>{escape(name)}</h2>{_svg(rows.sort_values('target_hour'))}" for name, rows in buildings.items()
    )
    file.write_text(PAGE.format(charts=charts), encoding="utf-8")


def _svg(rows: pd.DataFrame) -> str:
    hours = rows["target_hour"].to_numpy("datetime64[h]").astype(np.int64)
    levels = {name: rows[name].to_numpy(float) for name in (*QUANTILE_COLUMNS, "energy_usage_kwh")}
    low = min(0.0, np.nanmin(levels["p10_kwh"]))
    high = max(np.nanmax(values) for values in levels.values() if np.isfinite(values).any())
    x = LEFT + (hours - hours[0]) / max(1, hours[-1] - hours[0]) * (WIDTH - LEFT - 10)

    def y(value: Any) -> Any:
        return HEIGHT - BOTTOM - (value - low) / max(1e-9, high - low) * (HEIGHT - BOTTOM - TOP)

    band = _points(np.r_[x, x[::-1]], y(np.r_[levels["p10_kwh"], levels["p90_kwh"][::-1]]))
    grid = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(v):.0f}" y2="{y(v):.0f}"/>'
        f'<text x="4" y="{y(v) + 4:.0f}">{v:,.1f}</text>'
        for v in np.linspace(low, high, 5)
    )
    apart = 24 * max(1, len(hours) // 24 // LABELS)
    days = "".join(
        f'<text x="{at:.0f}" y="{HEIGHT - 6}">{pd.Timestamp(int(hour), unit="h"):%d %b}</text>'
        for hour, at in zip(hours, x, strict=True) if hour % apart == 0
    )  # fmt: skip
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Forecast band over actual use">{grid}{days}'
        f'<polygon class="band" points="{band}"/><path class="median" d="{_path(x, y(levels["p50_kwh"]))}"/>'
        f'<path class="actual" d="{_path(x, y(levels["energy_usage_kwh"]))}"/></svg>'
    )


def _points(x: Any, y: Any) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _path(x: Any, y: Any) -> str:
    """An SVG path that is interrupted where a value is missing."""
    parts, pen_is_down = [], False
    for a, b in zip(x, y, strict=True):
        if np.isfinite(b):
            parts.append(f"{'L' if pen_is_down else 'M'}{a:.1f} {b:.1f}")
        pen_is_down = bool(np.isfinite(b))
    return "".join(parts)
