"""The pages of the documentation, and the commands and queries in them, as values for the tests."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from wattcast.backfill import backfill_options
from wattcast.cli.jobs import JOBS
from wattcast.cli.main import app
from wattcast.runtime.options import gateway_options, maintenance_options, streaming_options

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / ".github").glob("**/*.md")),
    ROOT / "k8s/README.md",
    *sorted((ROOT / "docs").glob("**/*.md")),
]
ARGPARSE_COMMANDS = {"maintain": maintenance_options, "sql-gateway": gateway_options}


def page_name(page: Path) -> str:
    """The path of a page inside the repository."""
    return page.relative_to(ROOT).as_posix()


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def shell_lines(page: Path) -> list[str]:
    """The lines of all `sh` blocks of a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text(page), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def commands(page: Path) -> list[list[str]]:
    """The complete `wattcast` commands of a page, one per line of its `sh` blocks, split into words."""
    lines = [shlex.split(line, comments=True) for line in shell_lines(page)]
    return [words[1:] for words in lines if words[:1] == ["wattcast"]]


def mentions(page: Path) -> list[list[str]]:
    """The `wattcast` commands that a page names in its prose; their arguments may be missing."""
    prose = re.sub(r"^```.*?^```", "", text(page), flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(words) for words in re.findall(r"`wattcast\s+([^`]+)`", prose)]


def check(words: Sequence[str], *, is_whole: bool = True) -> None:
    """Raise the error with which the command line refuses these words; a part of a command may lack arguments."""
    name, context = parsed(words, is_whole=is_whole)
    if is_whole and name in ARGPARSE_COMMANDS:
        ARGPARSE_COMMANDS[name](context.args)
    elif is_whole and name == "run":
        assert context.params["job"] in JOBS
        if context.params["job"] == "backfill":
            backfill_options(context.args)
        else:
            streaming_options("", (), context.args)


def parsed(words: Sequence[str], *, is_whole: bool) -> tuple[str, Any]:
    """The name of the command that the words call, and its Typer context."""
    root = typer.main.get_command(app)
    context = root.make_context("wattcast", list(words))
    rest = [*context._protected_args, *context.args]
    command: Any = root
    while rest and hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context, resilient_parsing=not is_whole)
        if hasattr(command, "commands"):
            rest = [*context._protected_args, *context.args]
    return command.name, context


def queries() -> list[str]:
    """The SQL of every `wattcast sql` command in the documentation, for a test that has a lake."""
    return [query for page in PAGES for words in [*commands(page), *mentions(page)] for query in sql_of(words)]


def sql_of(words: Sequence[str]) -> list[str]:
    """The query of a `wattcast sql` command; empty for other commands."""
    return [word for word in words[1:3] if words[0] == "sql" and word.startswith(("SELECT", "WITH"))]


def headings(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
