"""How a file of readings is to be read: what was chosen by the user, and the whole mapping that detection completes."""

from collections.abc import Mapping as MappingABC
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

import yaml

from wattcast.meter_files.refusals import FileRefused

Layout = Literal[
    "long", "wide", "days"
]  # a row per reading, a column per meter, a row per day with a column per time of day
Stamps = Literal["start", "end"]  # of the interval that a reading covers
Quantity = Literal["usage", "register"]  # energy of the interval, or the cumulative register of a meter
DateOrder = Literal["year", "day", "month"]  # which part of a date comes first

FEATURES = ("temperature_c", "humidity_pct", "occupancy", "energy_usage_kwh")
CONTRACT_COLUMNS = ("building_id", "device_id", "measured_at", "energy_usage_kwh", *FEATURES[:3])
TIME_ROLES = ("measured_at", "interval_end", "date", "time_of_day")
ROLES = (*TIME_ROLES, "building_id", "device_id", *FEATURES, "unit")
UNITS_KWH = {"Wh": 0.001, "kWh": 1.0, "MWh": 1000.0, "GWh": 1_000_000.0}
UNITS_KW = {"W": 0.001, "kW": 1.0, "MW": 1000.0}
UNITS = (*UNITS_KWH, *UNITS_KW)
ALLOWED = {
    "layout": ("long", "wide", "days"), "stamps": ("start", "end"), "quantity": ("usage", "register"),
    "date_order": ("year", "day", "month"), "decimal": (".", ","), "unit": UNITS,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the user has said about a file; None or empty where detection decides.

    Raises:
        FileRefused: a choice is not one of the allowed values.
    """

    columns: MappingABC[str, str] = field(default_factory=dict)  # header by role
    ignored: tuple[str, ...] = ()  # headers
    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    date_order: DateOrder | None = None
    timezone: str | None = None  # IANA name or an offset such as +01:00
    stamps: Stamps | None = None
    layout: Layout | None = None
    unit: str | None = None
    quantity: Quantity | None = None
    interval_minutes: int | None = None
    building: str | None = None  # id of the only building of a file without ids
    sheet: str | None = None  # of a workbook
    skip_bad_rows: bool = False

    def __post_init__(self) -> None:
        for name, allowed in ALLOWED.items():
            if getattr(self, name) is not None and getattr(self, name) not in allowed:
                raise FileRefused(f"{name} must be one of {', '.join(allowed)}, not {getattr(self, name)}.")
        if unknown := [role for role in self.columns if role not in ROLES]:
            raise FileRefused(f"{unknown[0]} is no column of readings: map one of {', '.join(ROLES)}.")
        minutes = self.interval_minutes
        if minutes is not None and not (1 <= minutes <= 60 and 60 % minutes == 0):
            raise FileRefused(f"An interval of {minutes} minutes does not divide an hour.")

    def over(self, saved: "Choices") -> Self:
        """These choices, and those of `saved` where these say nothing."""
        given = {name: value for name, value in vars(self).items() if value not in (None, (), {}, False)}
        columns = {**saved.columns, **self.columns}
        return type(self)(**(vars(saved) | given | {"columns": columns}))


@dataclass(frozen=True)
class Evidence:
    """One finding about a file and its reason."""

    finding: str  # a field of `Mapping`, or another thing that was detected
    value: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """How the rows of a file become readings, complete, with the evidence for each decision."""

    format: str
    columns: MappingABC[str, str]  # header by role
    meters: tuple[str, ...] = ()  # headers of a column per meter, or per time of day
    ignored: tuple[str, ...] = ()
    encoding: str | None = None
    separator: str | None = None
    decimal: str = "."
    date_order: DateOrder = "year"
    timezone: str | None = None  # of times without an offset; None: each time has one
    stamps: Stamps = "start"
    layout: Layout = "long"
    unit: str = "kWh"
    quantity: Quantity = "usage"
    interval_minutes: int | None = None  # None: detected for each device
    building: str | None = None
    sheet: str | None = None
    skip_bad_rows: bool = False
    left_out: tuple[str, ...] = ()  # devices whose readings cover more than an hour
    evidence: tuple[Evidence, ...] = field(default=(), compare=False)

    @property
    def is_streamable(self) -> bool:
        """Whether each row can be converted without the others, so that a file larger than memory can be read."""
        return (
            self.layout == "long" and self.quantity == "usage" and self.stamps == "start" and self.unit in UNITS_KWH
            and self.timezone in (None, "UTC") and not {"date", "time_of_day"} & set(self.columns)
        )  # fmt: skip

    def choices(self) -> Choices:
        """The mapping as choices, to read the next file in the same way."""
        names = {item.name for item in fields(Choices)}
        return Choices(**{name: value for name, value in vars(self).items() if name in names})


def save_mapping(file: Path, mapping: Mapping) -> None:
    """Write the mapping as YAML, for `--mapping` with the next file."""
    content = {name: value for name, value in asdict(mapping.choices()).items() if value not in (None, (), {}, False)}
    if "ignored" in content:
        content["ignored"] = list(content["ignored"])
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def read_mapping(file: Path) -> Choices:
    """The choices in a file of `save_mapping`.

    Raises:
        FileRefused: the file cannot be read, or has an unknown key or value.
    """
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise FileRefused(f"{file} cannot be read as a mapping: {error}") from error
    names = [item.name for item in fields(Choices)]
    if not isinstance(content, dict):
        raise FileRefused(f"{file} is not a mapping of readings.")
    if unknown := [name for name in content if name not in names]:
        raise FileRefused(f"{file} has the unknown key {unknown[0]}: the keys are {', '.join(names)}.")
    if "ignored" in content:
        content["ignored"] = tuple(content["ignored"])
    return Choices(**content)
