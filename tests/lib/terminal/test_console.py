"""Tables show what they hold, whatever signs it has."""

import io

import pytest
from rich.console import Console, RenderableType
from rich.table import Table

from wattcast.audit import PartitionAudit
from wattcast.report import audit_table
from wattcast.terminal import plain, show
from wattcast_models.model_tables import config_table

HOSTILE = "[/b17] [red]said[/red] :house: \\["


def shown(what: RenderableType, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_brackets_and_colons_are_no_markup() -> None:
    table = Table("a", title=plain(HOSTILE), caption=plain(HOSTILE))
    table.add_row(plain(HOSTILE))
    assert shown(table).count(HOSTILE) == 3
    assert shown(config_table({"name": HOSTILE}, title=HOSTILE)).count(HOSTILE) == 2


def test_signs_that_steer_a_terminal_are_made_visible() -> None:
    assert plain("\x1b[31mred\x07\t\nnext").plain == r"\x1b[31mred\x07\x09" + "\nnext"
    assert plain(None).plain == ""


def test_what_goes_into_a_pipe_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", "b")
    table.add_row("x" * 300, "y" * 300)
    show(table)
    assert "x" * 300 in capsys.readouterr().out


def test_the_verdict_of_an_audit_is_whole_in_eighty_columns() -> None:
    clean = PartitionAudit("readings", 0, 1_234_567, 1_222_222, 12_345, 0, 1_234_566, 0, 1_234_567, 0, 0, 0, ())
    broken = PartitionAudit("weather-forecasts", 12, 9, 9, 0, 0, 20, 0, 15, 0, 3, 12, ((17, 19), (25, 29)), 4)
    text = shown(audit_table([clean, broken]))
    assert max(map(len, text.splitlines())) <= 80
    assert "clean" in text
    assert "NOT CLEAN" in text
    assert "1,222,222" in text
    said = (
        "weather-forecasts, partition 12: LOST offsets 17-19, 25-29; 3 DOUBLED; TOPIC RECREATED; 4 JUDGED WRONGLY; "
        "12 unverifiable (gone from the broker)."
    )
    assert said in " ".join(text.split())
