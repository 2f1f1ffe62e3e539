"""What `wattcast load` shows: how a file was read, a preview of its readings, and questions on what is in doubt."""

from collections import Counter
from pathlib import Path

import typer
from rich.table import Table

from wattcast.meter_files.mapping import Mapping
from wattcast.meter_files.preview import Preview
from wattcast.meter_files.refusals import Ambiguous
from wattcast.terminal.console import plain


def mapping_table(file: Path, mapping: Mapping) -> Table:
    """Each finding about a file with its reason."""
    table = Table(title=plain(f"{file.name}, read as {mapping.format}"))
    for heading in ("", "is", "because"):
        table.add_column(heading)
    for item in mapping.evidence:
        table.add_row(plain(item.finding), plain(item.value), plain(item.reason))
    return table


def preview_table(preview: Preview) -> Table:
    """The figures of the readings."""
    table = Table(title="Readings", show_header=False)
    intervals = ", ".join(f"{minutes} min" for minutes in preview.minutes)
    rows = {
        "rows": f"{preview.rows:,}",
        "buildings": f"{preview.buildings:,}",
        "devices": f"{preview.devices:,}",
        "from": f"{preview.first:%Y-%m-%d %H:%M} UTC",
        "to": f"{preview.end:%Y-%m-%d %H:%M} UTC",
        "interval": intervals,
        "mean per building and day": f"{preview.kwh_per_day:,.1f} kWh",
        "gaps": f"{preview.gap_share:.1%}",
        "zeros": f"{preview.zero_share:.1%}",
        "below zero": f"{preview.negative:,}",
        "spikes": f"{preview.spikes:,}",
    }
    for name, value in rows.items():
        table.add_row(plain(name), plain(value))
    return table


def problem_lines(problems: Counter[str]) -> list[str]:
    """What was left out or changed, with its count."""
    return [f"{count:,} {problem}." for problem, count in problems.items()]


def ask(doubt: Ambiguous) -> object:
    """The user's answer to a doubt, on the terminal."""
    typer.echo(doubt.question, err=True)
    if not doubt.answers:
        return str(typer.prompt(doubt.option, err=True)).strip()
    options = list(doubt.answers)
    for number, option in enumerate(options, start=1):
        typer.echo(f"  {number}  {option}", err=True)
    number = 0
    while not 1 <= number <= len(options):
        number = typer.prompt("Number", type=int, err=True)
    return doubt.answers[options[number - 1]]
