"""How far a long command is, by a clock that the tests move."""

import sys
import threading

import pytest

from wattcast.progress import Estimate, Ticker, duration, progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (8.24, "8.2 s"), (10, "10 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_duration_is_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_rest_is_estimated_by_the_rate_so_far() -> None:
    clock = Clock()
    work = Estimate("backfill", total=8, clock=clock)
    clock.now = 20
    assert work.line() == "backfill: 0 % in 20 s"
    work.update(2, "48 hours added")
    clock.now = 40
    assert work.line() == "backfill: 25 % in 40 s, about 2 min 0 s left; 48 hours added"
    work.update(8)
    assert work.line() == "backfill: 100 % in 40 s, about 0.0 s left"


def test_what_an_earlier_run_has_done_does_not_count_for_the_rate() -> None:
    clock = Clock()
    work = Estimate("replay", clock=clock)
    work.update(0.5)
    clock.now = 30
    work.update(0.75)
    assert work.line() == "replay: 75 % in 30 s, about 30 s left"


def test_work_of_unknown_size_shows_its_time() -> None:
    clock = Clock()
    work = Estimate("reading the data", total=None, clock=clock)
    clock.now = 90
    assert work.line() == "reading the data: 1 min 30 s"


def test_ticker_ticks_until_its_block_ends() -> None:
    ticked = threading.Event()
    with Ticker(ticked.set, seconds=0.001):
        assert ticked.wait(60)
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]


def test_short_work_outside_a_terminal_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("backtest", total=2) as update:
        update(1)
        update(2, "done")
    assert capsys.readouterr() == ("", "")


def test_terminal_shows_a_bar_with_the_note(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with progress("replay [x].csv", total=2) as update:
        update(2, "7 [records]")
    shown = capsys.readouterr().out
    assert "replay [x].csv" in shown
    assert "7 [records]" in shown
