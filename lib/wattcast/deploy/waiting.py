"""Waiting until things of a cluster stand as they should, with what is going on shown meanwhile."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.live import Live
from rich.table import Table

from wattcast.deploy.cluster import Failed, Refused, Unanswered

EVERY_SECONDS = 1.0


class Stands(Protocol):
    """A thing as it was when it was looked at."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def words(self) -> str: ...


Thing = TypeVar("Thing", bound=Stands)
Answer = TypeVar("Answer")
Show = Callable[[Sequence[Stands], str], None]


def wait(
    look: Callable[[], Sequence[Thing]], *, until: Callable[[Thing], bool], seconds: float, doing: str,
    given_up: Callable[[Thing], bool] = lambda _: False,
) -> list[Thing]:  # fmt: skip
    """Look until each stands so, showing how they stand meanwhile. An API server that does not answer is asked again.

    Raises:
        Failed: one is given up, the time is over, or one may not look; the message says of each that does not stand so what is
            wrong.
    """
    end = time.monotonic() + seconds
    with _shown(doing) as show:
        while True:
            found, trouble = _looked(look)
            show(found, trouble)
            missing = [each for each in found if not until(each)]
            if not missing and not trouble:
                return found
            if lost := [each for each in missing if given_up(each)]:
                raise Failed(_why(lost))
            if time.monotonic() > end:
                raise Failed(f"{trouble.rstrip('.') or _why(missing)} (given up after {seconds:.0f} s)")
            time.sleep(EVERY_SECONDS)


def patiently(action: Callable[[], Answer], *, end: float) -> Answer:
    """Do what can be done twice, again while the API server does not answer, until that time of the monotonic clock."""
    while True:
        try:
            return action()
        except Unanswered:
            if time.monotonic() > end:
                raise
            time.sleep(EVERY_SECONDS)


def _looked(look: Callable[[], Sequence[Thing]]) -> tuple[list[Thing], str]:
    """What is seen, or nothing and why the API server does not answer."""
    try:
        return list(look()), ""
    except Unanswered as error:
        return [], str(error)
    except Refused as error:  # by now the cluster is not as it was
        raise Failed(str(error)) from error


def _why(found: Sequence[Stands]) -> str:
    return "; ".join(f"{each.name}: {each.words or each.state or 'no state yet'}" for each in found)


@contextmanager
def _shown(doing: str) -> Iterator[Show]:
    """Where to show how things stand: a table that changes on a terminal, else a line for each that stands otherwise."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Live(console=console, transient=True) as live:
            yield lambda found, trouble: live.update(_table(found, doing, trouble))
    else:
        shown: dict[str, str] = {}
        yield lambda found, trouble: shown.update(_print_news(console, found, trouble, shown))


def _table(found: Sequence[Stands], doing: str, trouble: str) -> Table:
    table = Table("name", "state", "", title=doing, show_edge=False, title_justify="left", caption=trouble or None)
    for each in found:
        table.add_row(each.name, each.state or "new", each.words)
    return table


def _print_news(
    console: Console, found: Sequence[Stands], trouble: str, shown: Mapping[str, str]
) -> dict[str, str]:  # fmt: skip
    """For a log: a line for each that stands otherwise than before."""
    lines = {each.name: f"{each.name}: {each.state or 'new'} {each.words}".rstrip() for each in found}
    lines[""] = trouble
    for name, line in lines.items():
        if shown.get(name, "") != line and line:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    return lines
