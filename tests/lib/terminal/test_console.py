"""Tables show their values literally, whatever characters they contain."""

import io
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType
from rich.table import Table

from wattcast.ingest.audit import PartitionAudit
from wattcast.terminal.console import plain, show
from wattcast.terminal.tables import audit_table
from wattcast_models.registry.model_tables import config_table

HOSTILE = "[/b17] [red]said[/red] :house: \\["


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_brackets_and_colons_are_not_markup() -> None:
    table = Table("a", title=plain(HOSTILE), caption=plain(HOSTILE))
    table.add_row(plain(HOSTILE))
    assert shown(table).count(HOSTILE) == 3
    assert shown(config_table({"name": HOSTILE}, title=HOSTILE)).count(HOSTILE) == 2


def test_control_characters_are_shown_as_visible_escapes() -> None:
    assert plain("\x1b[31mred\x07\t\nnext").plain == r"\x1b[31mred\x07\x09" + "\nnext"
    assert plain(None).plain == ""


def test_output_into_a_pipe_is_not_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", "b")
    table.add_row("x" * 300, "y" * 300)
    show(table)
    assert "x" * 300 in capsys.readouterr().out


def test_the_status_of_an_audit_is_whole_in_eighty_columns() -> None:
    clean = PartitionAudit("readings", 0, 1_234_567, 1_222_222, 12_345, 0, 1_234_566, 0, 1_234_567, 0, 0, 0, ())
    broken = PartitionAudit("weather-forecasts", 12, 9, 9, 0, 0, 20, 0, 15, 0, 3, 12, ((17, 19), (25, 29)), 4)
    erased = replace(clean, partition=1, erased=1_234)
    text = shown(audit_table([clean, erased, broken]))
    assert "readings, partition 1: 1,234 rows were erased with their buildings." in text
    assert max(map(len, text.splitlines())) <= 80
    assert "clean" in text
    assert "NOT CLEAN" in text
    assert "1,222,222" in text
    said = (
        "weather-forecasts, partition 12: LOST offsets 17-19, 25-29; 3 DUPLICATE rows; TOPIC RECREATED; "
        "4 rows CONTRADICT the rules; 12 offsets CANNOT BE VERIFIED, because they were deleted from the topic before they "
        "were read."
    )
    assert said in " ".join(text.split())
