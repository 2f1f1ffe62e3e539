"""Readings that are written in a form and read back are the same, whatever the form."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.lib.meter_files.files import assert_truth

from wattcast.meter_files.mapping import UNITS_KW, Choices
from wattcast.meter_files.mapping import UNITS_KWH as ENERGY
from wattcast.meter_files.reader import read_readings
from wattcast.meter_files.refusals import Ambiguous

DATE_FORMS = {"%Y-%m-%d": "year", "%d/%m/%Y": "day", "%m/%d/%Y": "month", "%d.%m.%y": "day", "%Y/%m/%d": "year"}
DAYS_BEFORE_CHANGES = (
    "2026-03-28",
    "2026-10-24",
    "2026-11-01",
    "2026-04-04",
    "2026-06-30",
)  # of the clocks of some zone
ORDINARY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass(frozen=True)
class Form:
    separator: str
    decimal: str
    encoding: str
    date_form: str
    zone: str
    unit: str
    layout: str
    quantity: str
    stamps: str
    minutes: int
    start: str

    def answers(self) -> dict[str, Any]:
        """What a user who knows the file would answer to each question."""
        return {
            "timezone": self.zone, "unit": self.unit, "quantity": self.quantity, "stamps": self.stamps, "decimal": self.decimal,
            "date_order": DATE_FORMS[self.date_form], "layout": self.layout,
        }  # fmt: skip


forms = st.builds(
    Form,
    separator=st.sampled_from([",", ";", "\t"]), decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]), date_form=st.sampled_from(list(DATE_FORMS)),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Sydney", "UTC", "Asia/Kolkata", "+01:00"]),
    unit=st.sampled_from(["Wh", "kWh", "MWh", "kW", "W"]), layout=st.sampled_from(["long", "wide"]),
    quantity=st.sampled_from(["usage", "register"]), stamps=st.sampled_from(["start", "end"]),
    minutes=st.sampled_from([5, 15, 30, 60]), start=st.sampled_from(DAYS_BEFORE_CHANGES),
)  # fmt: skip


def readings(form: Form, days: int = 3) -> pd.DataFrame:
    zone = form.zone if form.zone != "+01:00" else "Etc/GMT-1"
    first = pd.Timestamp(form.start, tz=zone)
    times = pd.date_range(
        first, first + pd.DateOffset(days=days), freq=f"{form.minutes}min", inclusive="left"
    ).tz_convert("UTC")
    rng = np.random.default_rng(form.minutes)
    return pd.concat(
        pd.DataFrame(
            {"building_id": name, "measured_at": times, "energy_usage_kwh": rng.integers(50, 9000, len(times)) / 1000}
        )
        for name in ("Büro", "Halle 2")
    )


def write(file: Path, rows: pd.DataFrame, form: Form) -> None:
    """The readings as a text file in the form; a register stamps its interval's end, and needs a first value before it."""
    shift = pd.Timedelta(minutes=form.minutes if form.stamps == "end" or form.quantity == "register" else 0)
    factor = ENERGY[form.unit] if form.unit in ENERGY else UNITS_KW[form.unit] * form.minutes / 60
    values = rows.assign(measured_at=rows["measured_at"] + shift, value=rows["energy_usage_kwh"] / factor)
    if form.quantity == "register":
        values["value"] = values.groupby("building_id")["value"].cumsum() + 1000
        first = values.groupby("building_id", sort=False).head(1)
        first = first.assign(measured_at=first["measured_at"] - shift, value=1000.0)
        values = pd.concat([first, values]).sort_values(["building_id", "measured_at"], kind="stable")
    zone = form.zone if form.zone != "+01:00" else "Etc/GMT-1"
    values["time"] = values["measured_at"].dt.tz_convert(zone).dt.strftime(f"{form.date_form} %H:%M")
    values["text"] = values["value"].map(
        lambda value: f"{value:.9f}".rstrip("0").rstrip(".").replace(".", form.decimal)
    )
    if form.layout == "wide":
        one, two = (part.reset_index(drop=True) for _, part in values.groupby("building_id"))
        table = pd.DataFrame(
            {"Zeit": one["time"], f"Büro ({form.unit})": one["text"], f"Halle 2 ({form.unit})": two["text"]}
        )
    else:
        table = values[["building_id", "time", "text"]].set_axis(
            ["Gebäude", "Zeit", f"Wert ({form.unit})"], axis="columns"
        )
    table.to_csv(file, sep=form.separator, index=False, encoding=form.encoding)


def settled(file: Path, form: Form, choices: Choices) -> pd.DataFrame:
    while True:
        try:
            return read_readings(file, choices)[0].frame
        except Ambiguous as doubt:
            if getattr(choices, doubt.choice) is not None:
                raise  # an answer does not settle it
            choices = replace(choices, **{doubt.choice: form.answers()[doubt.choice]})


@given(form=forms)
@ORDINARY
def test_readings_written_in_a_form_are_read_back(tmp_path: Path, form: Form) -> None:
    if form.quantity == "register":
        form = replace(form, unit=form.unit if form.unit in ENERGY else "kWh", stamps="end")
    rows = readings(form)
    write(tmp_path / "a.csv", rows, form)
    said = Choices(stamps="end" if form.stamps == "end" else None)  # that times are ends cannot always be seen
    assert_truth(settled(tmp_path / "a.csv", form, said), rows)
