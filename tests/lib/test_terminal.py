"""Tables show what they hold, whatever signs it has."""

import io

import pytest
from rich.console import Console, RenderableType
from rich.table import Table

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
