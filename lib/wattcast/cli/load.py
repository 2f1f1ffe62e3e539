"""The command `load`."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import Progress

from wattcast.cli import load_options as opt
from wattcast.cli.bad_input import exit_on_bad_input
from wattcast.ingest.buildings import buildings_from_csv
from wattcast.local.load import Loaded, load_files, save, send
from wattcast.meter_files.mapping import UNITS, Choices, read_mapping, save_mapping
from wattcast.meter_files.preview import Preview, preview
from wattcast.meter_files.refusals import FileRefused
from wattcast.terminal.console import show
from wattcast.terminal.load import ask, mapping_table, preview_table, problem_lines


def load(
    files: opt.Files, map_: opt.Map = None, ignore: opt.Ignore = None, building: opt.Building = "", timezone: opt.Timezone = "",
    dayfirst: opt.DayFirst = None, decimal: opt.Decimal = "", separator: opt.Separator = "", encoding: opt.Encoding = "",
    sheet: opt.Sheet = "", wide: opt.Wide = False, day_rows: opt.DayRows = False, unit: opt.Unit = "",
    register: opt.Register = None, end_stamps: opt.EndStamps = None, interval: opt.Interval = None,
    skip_bad_rows: opt.SkipBadRows = False, mapping: opt.MappingFile = None, save_mapping: opt.SaveMapping = None,
    to: opt.To = None, only_preview: opt.OnlyPreview = False, buildings_file: opt.BuildingsFile = None,
) -> None:  # fmt: skip
    """Load files of readings as meter portals and building systems export them.

    Shows how each file is read, then sends its readings to Kafka or writes them to a file. What is in doubt is asked on a
    terminal, and refused elsewhere with the option that settles it.
    """

    with exit_on_bad_input("load"):
        given = Choices(
            columns=_columns(map_ or []), ignored=tuple(ignore or ()), building=building or None, timezone=timezone or None,
            date_order=None if dayfirst is None else "day" if dayfirst else "month", decimal=decimal or None,
            separator="\t" if separator == "tab" else separator or None, encoding=encoding or None, sheet=sheet or None,
            layout="wide" if wide else "days" if day_rows else None, unit=_unit(unit), interval_minutes=interval,
            quantity=None if register is None else "register" if register else "usage", skip_bad_rows=skip_bad_rows,
            stamps=None if end_stamps is None else "end" if end_stamps else "start",
        )  # fmt: skip
        choices = given.over(read_mapping(mapping)) if mapping else given
        _load(files, choices, save_mapping, to, buildings_file, only_preview=only_preview)


def _load(
    files: list[Path], choices: Choices, save_to: Path | None, to: Path | None, buildings_file: Path | None, *, only_preview: bool
) -> None:  # fmt: skip

    is_asked = sys.stdin.isatty() and sys.stderr.isatty()
    loaded = load_files(files, choices, ask if is_asked else None)
    summary = _shown(loaded, buildings_file)
    if save_to is not None:
        save_mapping(save_to, loaded.mappings[files[-1]])
        print(f"How {files[-1].name} was read is in {save_to}: use it with --mapping {save_to}.")
    if only_preview:
        return
    if to is not None:
        metadata = save(loaded, to)
        print(f"Wrote {summary.rows:,} readings to {to}; the metadata of their buildings is in {metadata}.")
        print(f"Complete time zones and countries there, then: wattcast buildings import {metadata}")
        print(f"Next: wattcast replay {to}, or wattcast backtest --data {to} --buildings-file {metadata}")
        return
    _send(loaded, buildings_file, summary)


def _shown(loaded: Loaded, buildings_file: Path | None) -> Preview:
    """Show how the files were read and what they hold."""

    homes: list[str] = []
    if buildings_file is not None:
        metadata = buildings_from_csv(buildings_file)
        homes = metadata.loc[metadata["building_type"].eq("residential"), "building_id"].tolist()
    summary = preview(loaded.readings, homes=homes, now=datetime.now(UTC))
    for file, mapping in loaded.mappings.items():
        show(mapping_table(file, mapping))
    show(preview_table(summary))
    for line in [*problem_lines(loaded.readings.problems), *summary.remarks]:
        print(f"! {line}")
    return summary


def _send(loaded: Loaded, buildings_file: Path | None, summary: Preview) -> None:

    with Progress() as progress:
        task = progress.add_task("load", total=1.0)
        counts = send(loaded, buildings_file, progress=lambda share, _: progress.update(task, completed=share))
    rejected = ", ".join(f"{count:,} for {rule}" for rule, count in counts.expected_rejected.items())
    print(f"Sent {counts.sent:,} readings" + (f"; of these will be rejected: {rejected}." if rejected else "."))
    print(f"Next: wattcast run pipeline --once --close-at {summary.end:%Y-%m-%dT%H:%M:%SZ}")


def _columns(assignments: list[str]) -> dict[str, str]:

    columns = {}
    for text in assignments:
        role, sign, header = text.partition("=")
        if not sign or not header.strip():
            raise FileRefused(f"--map takes COLUMN=HEADER, such as energy_usage_kwh=Verbrauch, not {text}.")
        columns["measured_at" if role.strip() == "timestamp" else role.strip()] = header.strip().strip("'\"")
    return columns


def _unit(text: str) -> str | None:

    by_lower = {unit.lower(): unit for unit in UNITS}
    return by_lower.get(text.lower(), text) or None
