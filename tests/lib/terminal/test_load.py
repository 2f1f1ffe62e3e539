"""Questions of `wattcast load` on a terminal."""

import io

import pytest

from wattcast.meter_files.refusals import Ambiguous
from wattcast.terminal.load import ask

DATES = Ambiguous("Day or month?", "date_order", {"--dayfirst": "day", "--monthfirst": "month"})
ZONE = Ambiguous("Times without a zone.", "timezone", option="--timezone ZONE")


@pytest.mark.parametrize(
    ("doubt", "typed", "answer"),
    [(DATES, "2\n", "month"), (DATES, "day\n0\n3\n1\n", "day"), (ZONE, " Europe/Berlin \n", "Europe/Berlin")],
)
def test_answer_is_a_number_of_the_list_or_a_text(
    doubt: Ambiguous, typed: str, answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert ask(doubt) == answer
    output = capsys.readouterr()
    assert doubt.question in output.err
    assert all(option in output.err for option in doubt.answers)
