"""The table of devices fits a terminal."""

import io

from rich.console import Console
from tests.lib.monitoring.measures.test_device_status import NOW

from wattcast.monitoring.measures.device_status import DeviceStatus, DeviceStatuses
from wattcast.terminal.devices import devices_table


def test_table_of_devices_fits_eighty_columns_whatever_their_names() -> None:
    names = ("meter[/x]", "university-building-17-main-meter", "\x1b[31mred")
    rules = ("energy_usage_kwh.out_of_range", "temperature_c.wrong_type")
    devices = [
        DeviceStatus(name, "university-building-17", NOW, NOW, 24, 2, rules, 0.31, 30.0, None, 2, 120.0, "rejected")
        for name in names
    ]
    console = Console(width=80, file=io.StringIO())
    console.print(devices_table(DeviceStatuses(NOW, tuple(devices), 0), devices))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("│ rejected │ 2026-03-10 12:01 │" in line for line in lines) == 3
    cells = [line.strip("│").split("│") for line in lines if line.startswith("│")]
    texts = ["".join(row[column].strip() for row in cells) for column in (1, 4)]
    assert texts[0] == r"meter[/x]university-building-17-main-meter\x1b[31mred"
    words = "24readings,2gapsof120minatmost,31%late,thesameenergyfor30h,2rejected,thelastfor" + ",".join(rules)
    assert texts[1].replace(" ", "") == words * 3
    (heading,) = [line for line in lines if "last seen" in line]
    assert [name.strip() for name in heading.strip("┃").split("┃")] == [
        "building",
        "device",
        "state",
        "last seen",
        "last 24 h",
    ]
