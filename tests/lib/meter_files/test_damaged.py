"""Whatever a file holds, the reader gives readings or refuses it; it never ends with another error."""

import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattcast.meter_files.mapping import CONTRACT_COLUMNS, Choices
from wattcast.meter_files.reader import read_readings
from wattcast.meter_files.refusals import FileRefused

GOOD = (
    "timestamp,building_id,energy_usage_kwh,temperature_c\n"
    + "".join(f"2026-03-{day:02}T{hour:02}:00:00Z,hall,{hour % 7}.5,8.1\n" for day in (1, 2) for hour in range(24)),
    "Datum;Uhrzeit;Zähler;Verbrauch (kWh)\n"
    + "".join(f"{day:02}.03.2026;{hour:02}:15;M1;{hour % 5},25\n" for day in (28, 29) for hour in range(24)),
    "Date," + ",".join(f"{hour:02}:00" for hour in range(24)) + "\n" + "2026-03-01," + ",".join(["1.5"] * 24) + "\n",
    "100,NEM12,2026,A,B\n200,1,E1,1,E1,N,M,KWH,60,\n300,20260301," + ",".join(["1"] * 24) + ",A,,,\n900\n",
    '{"building_id": "a", "measured_at": "2026-03-01T00:00:00Z", "energy_usage_kwh": 1}\n',
)
ANYTHING = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def damaged(text: str, seed: int, count: int) -> bytes:
    """A file in which some places are removed, doubled, exchanged or overwritten."""
    choice, content = random.Random(seed), bytearray(text.encode())
    for _ in range(count):
        at, length = choice.randrange(len(content)), choice.choice((1, 1, 2, 8, 40))
        piece = content[at : at + length]
        with_what = choice.choice(
            (
                b"",
                piece + piece,
                bytes(choice.randrange(256) for _ in range(length)),
                b"\n",
                b",",
                b";",
                b'"',
                b"24:00",
                b"-",
                b"1e999",
            )
        )
        content[at : at + length] = with_what
        if not content:
            return b""
    return bytes(content)


@pytest.mark.slow
@given(
    text=st.sampled_from(GOOD), seed=st.integers(0, 10**6), count=st.integers(1, 12),
    choices=st.sampled_from(
        [
            Choices(), Choices(timezone="Europe/Berlin", building="b", unit="kWh"), Choices(skip_bad_rows=True, timezone="UTC"),
            Choices(quantity="register", stamps="end", timezone="UTC", building="b"),
            Choices(layout="wide", unit="kW", timezone="UTC"),
            Choices(layout="days", timezone="Europe/Berlin", unit="kWh", building="b", skip_bad_rows=True),
        ]
    ),
)  # fmt: skip
@ANYTHING
def test_damaged_file_is_read_or_refused(tmp_path: Path, text: str, seed: int, count: int, choices: Choices) -> None:
    (tmp_path / "a.csv").write_bytes(damaged(text, seed, count))
    with suppress(FileRefused):
        frame = read_readings(tmp_path / "a.csv", choices)[0].frame
        keys = [name for name in ("building_id", "device_id", "measured_at") if name in frame]
        assert len(frame)
        assert set(frame) <= set(CONTRACT_COLUMNS)
        assert frame["measured_at"].notna().all()
        assert not frame.duplicated(keys).any()
