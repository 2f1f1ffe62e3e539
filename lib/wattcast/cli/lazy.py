"""Commands whose module is imported only when they run: some need torch, and the help of the program must be fast."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

CONTEXT_SETTINGS = {"max_content_width": 110}


class LazyGroup(TyperGroup):
    """A group in which a command added by `register_lazy` is a placeholder until it is resolved."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        target = getattr(getattr(command, "callback", None), "lazy_target", None)
        return name, load(target, name or "") if target else command, rest


def register_lazy(app: typer.Typer, name: str, target: str, *, help: str) -> None:
    """Add the command `name`; `target` is the `module:attribute` of its function or its Typer app."""

    def placeholder() -> None:
        """`LazyGroup` replaces it by the command."""

    placeholder.lazy_target = target  # type: ignore[attr-defined]
    app.command(name, help=help)(placeholder)


def load(target: str, name: str) -> Any:
    """The click command of a `module:attribute`, which is a function or a Typer app."""
    module, _, attribute = target.partition(":")
    command: typer.Typer | Callable[..., None] = getattr(import_module(module), attribute)
    return typer.main.get_command(command if isinstance(command, typer.Typer) else program(command, name))


def program(main: Callable[..., None], name: str | None = None) -> typer.Typer:
    """A Typer app whose only command is `main`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command(name, context_settings=CONTEXT_SETTINGS)(main)
    return app
