"""The outputs of an explanation: a table in the terminal and a JSON file."""

import json
from pathlib import Path

from rich.table import Table

from wattcast.cli.models.explain_run import ExplainedForecast
from wattcast.terminal.console import plain
from wattcast_models.evaluation.explanation import GROUPS, explanation_sentence

HEADINGS = ("hour", "P10", "P50", "P90", "base", *(group.replace("_", " ") for group in GROUPS))


def write_json(file: Path, explained: ExplainedForecast) -> None:
    """Write the building, the model, a sentence on the hour with the largest contributions, and a row per hour."""
    explanation = explained.explanation
    content = {
        "building_id": explained.building_id,
        "model": explained.model,
        "remark": explained.remark,
        "sentence": explanation_sentence(explanation, explanation.most_driven_hour),
        "hours": explanation.frame.astype({"target_hour": str, "local_time": str}).to_dict("records"),
    }
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def hours_table(explained: ExplainedForecast) -> Table:
    """A row per hour, in kWh; P50 is the sum of base and contributions."""
    explanation = explained.explanation
    title = f"Contributions to the forecast of {explained.building_id} by {explained.model}, kWh"
    table = Table(title=plain(title))
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading == "hour" else "right", no_wrap=True)
    for hour, time in enumerate(explanation.local_time):
        kwh = (*explanation.quantiles_kwh[hour], explanation.base_kwh[hour])
        levels = (f"{value:.{explanation.decimals}f}" for value in kwh)
        table.add_row(f"{time:%a %d %b %H:%M}", *levels, *(explanation.signed(group, hour) for group in GROUPS))
    table.caption = (
        "P50 = base + calendar + recent level + weather + occupancy; base: average use at that hour of the day"
    )
    return table
