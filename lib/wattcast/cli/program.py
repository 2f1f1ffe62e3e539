"""Runs a Typer command as a program, for jobs whose options are those of a command."""

from collections.abc import Callable

from wattcast.cli.lazy import program
from wattcast.errors import exit_on_user_error


def run(main: Callable[..., None], name: str) -> None:
    """Run `main` on the arguments of this process as `wattcast NAME`."""
    with exit_on_user_error():
        program(main)(prog_name=f"wattcast {name}")
