"""How a command ends when a file or an option cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from wattcast.errors import REFUSED, message


@contextmanager
def exit_on_bad_input(command: str) -> Iterator[None]:
    """Run the work of a command; a ValueError or OSError ends it with one line on stderr and exit status 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.echo(f"wattcast {command}: {message(error)}", err=True)
        raise typer.Exit(REFUSED) from error
