"""Metadata of buildings is read as the contract says, or refused with the building and the reason."""

from pathlib import Path

import pandas as pd
import pytest

from wattcast.ingest.buildings import MetadataError, buildings_from_csv


def file_of(folder: Path, *lines: str) -> Path:
    file = folder / "buildings.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_a_file_gives_all_columns_of_the_contract_and_what_it_lacks_is_missing(tmp_path: Path) -> None:
    file = file_of(
        tmp_path,
        "building_id,timezone,country,closures,reading_interval_minutes,allows_negative_energy,height_m",
        "b1, Europe/London ,GB,12-24 12-27,15.0,true,30",
        "b2,,,,,,",
    )
    expected = pd.DataFrame(
        {
            "building_id": ["b1", "b2"], "site": [None, None], "timezone": ["Europe/London", None], "country": ["GB", None],
            "building_type": [None, None], "closures": ["12-24 12-27", None], "reading_interval_minutes": [15, None],
            "allows_negative_energy": [True, None],
        },
        dtype=object,
    )  # fmt: skip
    pd.testing.assert_frame_equal(buildings_from_csv(file), expected)


def test_a_default_interval_fills_only_unknown_ones(tmp_path: Path) -> None:
    file = file_of(tmp_path, "building_id,reading_interval_minutes", "b1,15", "b2,")
    assert buildings_from_csv(file, default_interval_minutes=60)["reading_interval_minutes"].tolist() == [15, 60]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("timezone", "Europe/Lundon"), ("country", "gb"), ("country", "GBR"), ("closures", "24 December"),
        ("reading_interval_minutes", "0"), ("reading_interval_minutes", "7"), ("reading_interval_minutes", "90"),
        ("reading_interval_minutes", "-15"), ("reading_interval_minutes", "soon"), ("allows_negative_energy", "maybe"),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_with_the_building_and_the_column(tmp_path: Path, column: str, text: str) -> None:
    with pytest.raises(MetadataError, match=f"building b1: {column} cannot be '{text}'"):
        buildings_from_csv(file_of(tmp_path, f"building_id,{column}", f"b1,{text}"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["id,timezone", "b1,UTC"], "has no column building_id"),
        (["building_id,timezone", "b1,UTC", "b1,UTC"], "has building b1 more than once"),
        (["building_id,timezone", ",UTC"], "building_id cannot be ''"),
        (["building_id", "x" * 129], "building_id cannot be"),
        (["building_id,site", "b1,a,b,c", "b2,a"], "cannot be read|more than once|building_id"),
    ],
)
def test_a_file_that_is_no_table_of_buildings_is_refused(tmp_path: Path, lines: list[str], reason: str) -> None:
    with pytest.raises(MetadataError, match=reason):
        buildings_from_csv(file_of(tmp_path, *lines))


@pytest.mark.parametrize(
    ("header", "likely"),
    [
        ("time_zone", "timezone"), ("Timezone", "timezone"), ("Country", "country"), ("country_code", "country"),
        ("interval_minutes", "reading_interval_minutes"), ("readings_interval_minutes", "reading_interval_minutes"),
        ("type", "building_type"), ("closure", "closures"), ("Zeitzone", "timezone"),
        ("allow_negative_energy", "allows_negative_energy"),
    ],
)  # fmt: skip
def test_a_misspelt_column_is_refused_with_the_likely_name(tmp_path: Path, header: str, likely: str) -> None:
    with pytest.raises(MetadataError, match=f"unknown column {header}: it seems to mean {likely}"):
        buildings_from_csv(file_of(tmp_path, f"building_id,{header}", "b1,x"))


def test_blanks_around_ids_do_not_hide_that_they_are_repeated(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="building b1 more than once, in lines 2 and 4"):
        buildings_from_csv(file_of(tmp_path, "building_id,timezone", "b1,UTC", "b2,UTC", "b1 ,UTC"))
    assert buildings_from_csv(file_of(tmp_path, "building_id", " b1 "))["building_id"].tolist() == ["b1"]


def test_other_separators_encodings_and_commas_at_the_end_give_the_same_table(tmp_path: Path) -> None:
    expected = buildings_from_csv(file_of(tmp_path, "building_id,timezone,country", "Café,Europe/Paris,FR"))
    for text in (
        "building_id;timezone;country\nCafé;Europe/Paris;FR\n", "building_id,timezone,country\nCafé,Europe/Paris,FR,\n",
        "\ufeffbuilding_id,timezone,country\r\nCafé,Europe/Paris,FR\r\n",
        "building_id,timezone,country,\nCafé,Europe/Paris,FR,,\n",
    ):  # fmt: skip
        for encoding in ("utf-8", "utf-16") if text.startswith("building_id;") else ("utf-8",):
            (tmp_path / "buildings.csv").write_text(text, encoding=encoding, newline="")
            pd.testing.assert_frame_equal(buildings_from_csv(tmp_path / "buildings.csv"), expected)


def test_a_row_that_is_longer_than_the_header_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="line 3 has 4 fields, and the header has 3"):
        buildings_from_csv(file_of(tmp_path, "building_id,timezone,country", "b1,UTC,GB", "b2,Europe/Paris,FR,x"))


def test_a_missing_an_empty_and_a_binary_file_are_refused_alike(tmp_path: Path) -> None:
    empty, binary = tmp_path / "empty.csv", tmp_path / "binary.csv"
    empty.write_bytes(b"")
    binary.write_bytes(b"building_id\n\x00\xff\xfe\x01\n")
    for file in (tmp_path / "none.csv", empty, binary):
        with pytest.raises(MetadataError, match="cannot be read"):
            buildings_from_csv(file)
