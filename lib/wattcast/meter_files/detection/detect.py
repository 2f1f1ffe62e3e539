"""Detection: from a table and what the user chose to the whole mapping, with the evidence for each decision."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from wattcast.meter_files.detection.cells import (
    TimeCells,
    distinct_stamps,
    epoch_of,
    has_midnight_as_24,
    moments,
    numbers_of_day,
)
from wattcast.meter_files.detection.columns import Columns, columns_of
from wattcast.meter_files.detection.meaning import quantity_evidence, stamps_evidence, unit_evidence
from wattcast.meter_files.detection.numbers import bad_numbers, decimal_sign, numbers
from wattcast.meter_files.detection.stamps import date_order
from wattcast.meter_files.mapping import Choices, DateOrder, Evidence, Mapping, Quantity, Stamps
from wattcast.meter_files.refusals import Ambiguous, FileRefused
from wattcast.meter_files.rows import day_seconds, groups_of, long_rows, row_times, usual_minutes
from wattcast.meter_files.table import Table

DEFAULT_MINUTES = MINUTES_OF_HOUR = 60
MIN_LONG_ROWS = 4


@dataclass(frozen=True)
class _Sample:
    """The first rows as readings, with their times as the clock shows them, and the device of each."""

    rows: pd.DataFrame
    times: TimeCells
    groups: pd.Series

    @property
    def local(self) -> pd.Series:
        return moments(self.times.local)


def detected(table: Table, choices: Choices) -> Mapping:
    """How the table is to be read. What the user chose is taken; the rest is decided on the first 200,000 rows.

    Raises:
        FileRefused: the file has no readings, or cannot be read as chosen.
        Ambiguous: a fact is open, with the option that settles it.
    """
    raw = table.sample()
    if raw.empty:
        raise FileRefused(f"{table.file.name} has no readings.")
    columns = columns_of(table, raw, choices)
    evidence = [*table.evidence, *_roles_evidence(columns)]
    building = _building(table, columns, choices)
    order = _order(columns, raw, choices)
    rows = long_rows(
        raw, layout=columns.layout, columns={role: header.text for role, header in columns.roles.items()},
        meters=columns.meters, building=building,
    )  # fmt: skip
    times = row_times(rows, cast(DateOrder, order.value), table.file, may_skip=choices.skip_bad_rows)
    if np.isnan(times.local).all():
        raise FileRefused(f"{table.file.name} has no row with a time that can be read.")
    sample = _Sample(rows, times, groups_of(rows))
    zone = _zone(table, columns, sample, choices)
    decimal = _decimal(table, sample, choices)
    unit = unit_evidence(columns, raw, choices, table.file)
    values = _values(sample, decimal.value, table, choices)
    quantity = quantity_evidence(columns, unit.value, values, sample.groups.to_numpy(object), choices, table.file)
    minutes = _usual_minutes(sample, choices)
    stamps = _stamps(table, columns, raw, sample, minutes, quantity.value == "register", choices)
    evidence += [order, zone, decimal, unit, quantity, stamps, _interval_evidence(minutes, choices)]
    return Mapping(
        format=table.format, columns={role: header.text for role, header in columns.roles.items()}, meters=columns.meters,
        ignored=columns.ignored, encoding=table.encoding, separator=table.separator, decimal=decimal.value,
        date_order=cast(DateOrder, order.value), timezone=zone.value if zone.value != "in each time" else None,
        stamps=cast(Stamps, stamps.value), layout=columns.layout, unit=unit.value, quantity=cast(Quantity, quantity.value),
        interval_minutes=choices.interval_minutes, building=building, sheet=table.sheet, skip_bad_rows=choices.skip_bad_rows,
        left_out=_longer_than_an_hour(sample, table), evidence=tuple(evidence),
    )  # fmt: skip


def _roles_evidence(columns: Columns) -> list[Evidence]:
    reasons = {
        "long": "a row per reading",
        "wide": "a column per meter",
        "days": "a row per day, a column per time of day",
    }
    evidence = [Evidence("layout", columns.layout, reasons[columns.layout])]
    evidence += [Evidence(role, header.text, "the header") for role, header in columns.roles.items()]
    if columns.meters:
        evidence.append(
            Evidence(
                "meters",
                ", ".join(columns.meters[:4]) + (", ..." if len(columns.meters) > 4 else ""),
                "columns of numbers",
            )
        )
    if columns.ignored:
        evidence.append(Evidence("not used", ", ".join(columns.ignored), "they are none of the columns of readings"))
    return evidence


def _building(table: Table, columns: Columns, choices: Choices) -> str | None:
    if choices.building:
        return choices.building
    if columns.layout == "wide" or "building_id" in columns.roles:
        return None
    device = columns.roles.get("device_id")
    if device:
        answers: dict[str, object] = {f"--map building_id={device.text!r}": {"building_id": device.text}}
        raise Ambiguous(
            f"{table.file.name} lacks the column building_id: are the devices in {device.text} buildings, or of one building?",
            "columns", answers, "--building ID",
        )  # fmt: skip
    raise Ambiguous(f"{table.file.name} lacks the column building_id.", "building", option="--building ID")


def _order(columns: Columns, raw: pd.DataFrame, choices: Choices) -> Evidence:
    if choices.date_order:
        return Evidence("date_order", choices.date_order, "as requested")
    role = next(name for name in ("measured_at", "interval_end", "date") if name in columns.roles)
    cells = raw[columns.roles[role].text]
    if cells.dtype.kind != "O" or epoch_of(cells):
        return Evidence("date_order", "year", "the times are typed or numbers")
    return date_order(distinct_stamps(cells))


def _zone(table: Table, columns: Columns, sample: _Sample, choices: Choices) -> Evidence:
    times, role = sample.times, next(name for name in ("measured_at", "interval_end", "date") if name in sample.rows)
    if not times.is_naive.any():
        unit = epoch_of(sample.rows[role])
        return Evidence(
            "timezone", "in each time", f"{unit} since 1970" if unit else "each time has its offset from UTC"
        )
    if (~np.isnan(times.offset_minutes)).any():
        line = sample.rows.index[times.is_naive][0]
        raise FileRefused(f"{table.file.name}: some times have a zone and others have none, such as line {line}.")
    if choices.timezone:
        return Evidence("timezone", choices.timezone, "as requested")
    header = next(
        (columns.roles[name] for name in ("measured_at", "interval_end", "date") if name in columns.roles), None
    )
    if header is not None and header.is_utc:
        return Evidence("timezone", "UTC", f"the header {header.text}")
    raise Ambiguous(
        f"{table.file.name} has times without a zone, such as Europe/Berlin or UTC.",
        "timezone",
        option="--timezone ZONE",
    )


def _decimal(table: Table, sample: _Sample, choices: Choices) -> Evidence:
    if choices.decimal:
        return Evidence("decimal", choices.decimal, "as requested")
    texts: list[str] = []
    for name in ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"):
        if name in sample.rows and sample.rows[name].dtype.kind == "O":
            texts += [cell for cell in pd.unique(sample.rows[name]) if isinstance(cell, str)]
    if not texts:
        return Evidence("decimal", ".", "the numbers are typed")
    return decimal_sign(texts, table.separator)


def _values(sample: _Sample, decimal: str, table: Table, choices: Choices) -> npt.NDArray[np.floating]:
    cells = sample.rows["energy_usage_kwh"]
    if choices.skip_bad_rows:
        cells = cells.mask(bad_numbers(cells, decimal))
    return numbers(cells, decimal, table.file)


def _usual_minutes(sample: _Sample, choices: Choices) -> int:
    if choices.interval_minutes:
        return choices.interval_minutes
    usual = usual_minutes(moments(np.round(sample.times.local / 60) * 60), sample.groups).dropna()
    return int(usual.mode().iloc[0]) if len(usual) and usual.mode().iloc[0] >= 1 else DEFAULT_MINUTES


def _longer_than_an_hour(sample: _Sample, table: Table) -> tuple[str, ...]:
    """The devices of which nearly all readings are more than an hour apart, at the same step.

    Raises:
        FileRefused: there are no others.
    """
    minutes = usual_minutes(moments(np.round(sample.times.local / 60) * 60), sample.groups)
    by_device = (
        pd.DataFrame({"group": sample.groups, "minutes": minutes}).groupby("group")["minutes"].agg(["first", "size"])
    )
    is_long = (by_device["first"] > MINUTES_OF_HOUR) & (by_device["size"] >= MIN_LONG_ROWS)
    if is_long.all():
        raise FileRefused(
            f"{table.file.name} has readings of {by_device['first'].iloc[0]:.0f} minutes; the energy of an hour cannot be told "
            "from them."
        )
    return tuple(str(name) for name in by_device.index[is_long])


def _interval_evidence(minutes: int, choices: Choices) -> Evidence:
    reason = "as requested" if choices.interval_minutes else "the usual step between two readings of a device"
    return Evidence("interval", f"{minutes} min", reason)


def _stamps(
    table: Table,
    columns: Columns,
    raw: pd.DataFrame,
    sample: _Sample,
    minutes: int,
    is_register: bool,
    choices: Choices,
) -> Evidence:
    time_of_day = sample.rows.get("time_of_day")
    if time_of_day is not None and not choices.stamps:
        if "time_of_day" in columns.roles and columns.roles["time_of_day"].is_end:
            return Evidence("stamps", "end", f"the header {columns.roles['time_of_day'].text}")
        values, seconds = numbers_of_day(time_of_day), day_seconds(time_of_day)
        if values is not None:
            first = int(values.min())
            text = f"intervals of the day are numbered from {first}"
            return Evidence("stamps", "end" if first else "start", text)
        if np.nanmax(seconds) == 86_400 or (columns.layout == "days" and seconds[0] > 0 and seconds[-1] == 0):
            return Evidence("stamps", "end", "the day ends at 24:00")
    role = next((name for name in ("measured_at", "interval_end") if name in columns.roles), None)
    has_24 = role is not None and has_midnight_as_24(raw[columns.roles[role].text])
    return stamps_evidence(
        columns,
        sample.local.dropna(),
        minutes,
        is_register=is_register,
        has_24=has_24,
        choices=choices,
        file=table.file,
    )
