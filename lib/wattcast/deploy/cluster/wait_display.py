"""The progress of waiting, on stderr: a table that is updated in a terminal, or a line per change in a log."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table


class Status(Protocol):
    """The observed state of an application or a server."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def detail(self) -> str: ...


Update = Callable[[Sequence[Status], str], None]
"""Called with each observation: the statuses, and the error of the API server (empty if it answered)."""


@contextmanager
def wait_display(title: str) -> Iterator[Update]:
    """The display, for as long as the block runs."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Live(console=console, transient=True) as live:
            yield lambda statuses, api_error: live.update(_table(statuses, title, api_error))
    else:
        printed: dict[str, str] = {}
        yield lambda statuses, api_error: printed.update(_print_changes(console, statuses, api_error, printed))


def _table(statuses: Sequence[Status], title: str, api_error: str) -> Table:
    table = Table("name", "state", "", title=title, show_edge=False, title_justify="left", caption=api_error or None)
    for status in statuses:
        table.add_row(status.name, status.state or "new", status.detail)
    return table


def _print_changes(
    console: Console, statuses: Sequence[Status], api_error: str, printed: Mapping[str, str]
) -> dict[str, str]:
    """Print a line for each status that differs from the printed one; returns the current lines."""
    lines = {status.name: f"{status.name}: {status.state or 'new'} {status.detail}".rstrip() for status in statuses}
    lines[""] = api_error
    for name, line in lines.items():
        if printed.get(name, "") != line and line:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    return lines
