"""A job whose options typer reads, as a program: named as the command that runs it, its errors sentences."""

from collections.abc import Callable

import typer

from wattcast.errors import told


def run(main: Callable[..., None], name: str) -> None:
    """Run `main` on the arguments of this process as `wattcast NAME`."""
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    program.command(context_settings={"max_content_width": 110})(main)
    with told():
        program(prog_name=f"wattcast {name}")
