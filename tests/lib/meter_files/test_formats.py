"""Green Button and NEM12 files give the energy from the grid, and unsafe or wrong ones are refused."""

from pathlib import Path

import pandas as pd
import pytest
from tests.lib.meter_files.files import readings, written

from wattcast.meter_files.mapping import Choices
from wattcast.meter_files.reader import read_readings
from wattcast.meter_files.refusals import FileRefused

START = 1_772_323_200  # 2026-03-01T00:00:00Z
FEED = """<?xml version="1.0" encoding="UTF-8"?>{doctype}
<feed xmlns="http://www.w3.org/2005/Atom">
 <entry><link rel="self" href="/U/1/UsagePoint/7"/><title>12 Main Street</title>
  <content><UsagePoint xmlns="http://naesb.org/espi"/></content></entry>
 {meters}
</feed>"""
METER = """<entry><link rel="self" href="/U/1/UsagePoint/7/MeterReading/{name}"/><link rel="related" href="/T/{name}"/>
  <content><MeterReading xmlns="http://naesb.org/espi"/></content></entry>
 <entry><link rel="self" href="/T/{name}"/><content><ReadingType xmlns="http://naesb.org/espi">
  <accumulationBehaviour>4</accumulationBehaviour><flowDirection>{direction}</flowDirection>
  <powerOfTenMultiplier>{power}</powerOfTenMultiplier><uom>{uom}</uom></ReadingType></content></entry>
 <entry><link rel="up" href="/U/1/UsagePoint/7/MeterReading/{name}/IntervalBlock"/>
  <content><IntervalBlock xmlns="http://naesb.org/espi">{values}</IntervalBlock></content></entry>"""
VALUE = """<IntervalReading><timePeriod><duration>{seconds}</duration><start>{start}</start></timePeriod>
  <value>{value}</value></IntervalReading>"""


def meter(
    name: str, values: list[int], *, direction: int = 1, power: int = 0, uom: int = 72, seconds: int = 900
) -> str:
    texts = [
        VALUE.format(seconds=seconds, start=START + row * seconds, value=value) for row, value in enumerate(values)
    ]
    return METER.format(name=name, direction=direction, power=power, uom=uom, values="".join(texts))


def test_green_button_gives_energy_from_the_grid_in_kwh(tmp_path: Path) -> None:
    meters = meter("1", [250, 300, 275, 5], power=1) + meter("2", [9], direction=19) + meter("3", [230], uom=29)
    file = written(tmp_path / "a.xml", FEED.format(doctype="", meters=meters))
    frame = readings(file)
    assert frame["energy_usage_kwh"].tolist() == [2.5, 3.0, 2.75, 0.05]
    assert frame["building_id"].unique().tolist() == ["12 Main Street"]
    assert frame["measured_at"].tolist() == list(pd.date_range("2026-03-01", periods=4, freq="15min", tz="UTC"))
    evidence = {item.finding: item.value for item in read_readings(file)[1].evidence}
    assert evidence["left out"] == "energy to the grid; readings in the unit 29"
    assert readings(file, building="home")["building_id"].unique().tolist() == ["home"]


def test_green_button_readings_of_days_are_no_hours(tmp_path: Path) -> None:
    file = written(tmp_path / "a.xml", FEED.format(doctype="", meters=meter("1", [24_000], seconds=86_400)))
    with pytest.raises(FileRefused, match="has no readings"):
        readings(file)


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE feed [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', '<!DOCTYPE feed [<!ENTITY a SYSTEM "file:a.txt">]>',
        '<!DOCTYPE feed SYSTEM "http://127.0.0.1/a.dtd">',
    ],
)  # fmt: skip
def test_xml_with_entities_or_a_document_type_is_refused(tmp_path: Path, doctype: str) -> None:
    file = written(tmp_path / "a.xml", FEED.format(doctype=doctype, meters=meter("1", [1])))
    with pytest.raises(FileRefused, match="cannot be read as Green Button XML"):
        readings(file)


def nem12(*records: str) -> str:
    return "\r\n".join(["100,NEM12,202603020000,A,B", *records, "900"])


DAY = ",".join(str(value) for value in range(48))


def test_nem12_gives_days_of_the_market_in_utc_and_adds_no_returned_energy(tmp_path: Path) -> None:
    records = (
        "200,4102000001,E1B1E2,1,E1,N1,METER1,KWH,30,20260401", f"300,20260301,{DAY},A,,,20260302000000,",
        "400,1,48,F14,76,", f"300,20260302,{DAY},N,,,20260303000000,",
        "200,4102000001,E1B1E2,1,E2,N2,METER1,Wh,30,20260401", f"300,20260301,{DAY},A,,,20260302000000,",
        "200,4102000001,E1B1E2,1,B1,N3,METER1,KWH,30,20260401", f"300,20260301,{DAY},A,,,20260302000000,",
    )  # fmt: skip
    frame = read_readings(written(tmp_path / "a.csv", nem12(*records)))[0].frame
    first = frame[frame["device_id"] == "E1"]
    assert first["measured_at"].iloc[0] == pd.Timestamp("2026-02-28T14:00Z")
    assert first["energy_usage_kwh"].head(48).tolist() == list(map(float, range(48)))
    assert first["energy_usage_kwh"].tail(48).isna().all()
    assert frame.loc[frame["device_id"] == "E2", "energy_usage_kwh"].tolist() == pytest.approx(
        [value / 1000 for value in range(48)]
    )
    assert set(frame["device_id"]) == {"E1", "E2"}
    assert set(frame["building_id"]) == {"4102000001"}


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (("300,20260301,1,A",), "line 2: a record 300 comes before any record 200"),
        (("200,1,E1,1,E1,N1,M,KWH,30,", "300,20260301,1,2,A"), "line 3 (has too few fields|is no NEM12 record 300)"),
        (("200,1,E1,1,E1,N1,M,KWH,7,",), "line 2: an interval of 7 minutes does not divide a day"),
        (("200,1,E1,1,E1,N1,M,L,30,",), "line 2: the unit L is not one of energy"),
    ],
)
def test_wrong_nem12_records_are_refused_with_their_line(tmp_path: Path, records: tuple[str, ...], reason: str) -> None:
    with pytest.raises(FileRefused, match=reason):
        readings(written(tmp_path / "a.csv", nem12(*records)))


def test_a_sheet_is_chosen_where_several_have_readings(tmp_path: Path) -> None:
    times = pd.date_range("2026-03-01", periods=3, freq="h")
    with pd.ExcelWriter(tmp_path / "a.xlsx", engine="openpyxl") as book:
        for name, factor in (("Jan", 1.0), ("Feb", 2.0)):
            pd.DataFrame({"timestamp": times, "building_id": 7, "kWh": [factor, 5.0, 1.0]}).to_excel(
                book, sheet_name=name, index=False
            )
    with pytest.raises(FileRefused, match=r"has 2 sheets with rows\. Add --sheet 'Jan' or --sheet 'Feb'"):
        readings(tmp_path / "a.xlsx", timezone="UTC")
    frame = read_readings(tmp_path / "a.xlsx", Choices(timezone="UTC", sheet="Feb"))[0].frame
    assert frame["energy_usage_kwh"].tolist() == [2.0, 5.0, 1.0]
    assert frame["building_id"].tolist() == ["7"] * 3


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.xls", b"\xd0\xcf\x11\xe0rest"), ("a.xlsx", b"PK\x03\x04broken"), ("a.bin", b"\x00\x01\x02" * 9)],
)
def test_other_binary_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileRefused, match=r"old Excel|cannot be read"):
        readings(tmp_path / name)
