"""The documentation says what is so: its commands, queries, settings and links exist."""

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import typer
from pydantic import BaseModel

import backfill
import backtest
import benchmark
import benchmark_serving
import explain
import maintain
import models
import serve
import sql_gateway
import train
import tune
from wattcast import job
from wattcast.cli import JOBS, app
from wattcast.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "k8s/README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, *sorted((ROOT / "examples").glob("*.py")), *sorted((ROOT / "conf").glob("*.*"))]
MACHINE_PATH = re.compile(r"(?<![\w.<$}-])/(?:root|home|Users|work|tmp|opt|usr|var|mnt|workspace)/[\w.-]+")
PROGRAMS = {
    "train": train.main,
    "tune": tune.main,
    "backtest": backtest.main,
    "explain": explain.main,
    "benchmark": benchmark.main,
    "benchmark-serving": benchmark_serving.main,
    "serve": serve.main,
}  # of jobs whose options typer reads
PARSED = {"maintain": maintain._options, "sql-gateway": sql_gateway.options}
OTHER_VARIABLES = {"WATTCAST_PROFILE", "WATTCAST_CONF", "WATTCAST_CACHE", "WATTCAST_LOG_LEVEL", "WATTCAST_DATA"}


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def shell_lines(page: Path) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", text(page), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def commands(page: Path) -> list[list[str]]:
    """The `wattcast` commands to copy: one a line, in blocks."""
    parsed = [shlex.split(line, comments=True) for line in shell_lines(page)]
    return [words[1:] for words in parsed if words[:1] == ["wattcast"]]


def mentions(page: Path) -> list[list[str]]:
    """The `wattcast` commands that are named in a sentence, whose arguments may be missing."""
    prose = re.sub(r"^```.*?^```", "", text(page), flags=re.DOTALL | re.MULTILINE)
    return [shlex.split(words) for words in re.findall(r"`wattcast\s+([^`]+)`", prose)]


def check(words: Sequence[str], *, is_whole: bool = True) -> None:
    """Raise what the command itself would say of the words."""
    name, context = parsed(app, words, is_whole=is_whole)
    if name == "models" and (context.args or is_whole):
        parsed(models.app, context.args, is_whole=is_whole)
    elif is_whole and name in PARSED:
        PARSED[name](context.args)
    elif is_whole and name in ("run", *PROGRAMS):
        check_job(name, context)


def parsed(program: typer.Typer, words: Sequence[str], *, is_whole: bool) -> tuple[str, Any]:
    """The command that the words call, and what it makes of them."""
    root = typer.main.get_command(program)
    context = root.make_context("wattcast", list(words))
    rest = [*context._protected_args, *context.args]
    command: Any = root
    while rest and hasattr(command, "commands"):
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, list(rest), parent=context, resilient_parsing=not is_whole)
        if hasattr(command, "commands"):
            rest = [*context._protected_args, *context.args]
    return command.name, context


def check_job(command: str, context: Any) -> None:
    if command in PROGRAMS:
        parser = typer.Typer()
        parser.command()(PROGRAMS[command])
        typer.main.get_command(parser).make_context(command, list(context.args))
        return
    assert context.params["job"] in JOBS
    parse = backfill._options if context.params["job"] == "backfill" else lambda argv: job._options((), argv)
    parse(list(context.args))


def queries() -> list[str]:
    """What the documentation asks by `wattcast sql`, in blocks and in sentences, for a test that has a lake."""
    return [query for page in PAGES for words in [*commands(page), *mentions(page)] for query in asked(words)]


def asked(words: list[str]) -> list[str]:
    """The query of a command, if it has one."""
    return [word for word in words[1:3] if words[0] == "sql" and word.startswith(("SELECT", "WITH"))]


def headings(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def variables(section: type[BaseModel], prefix: str = "WATTCAST_") -> Iterator[str]:
    for name, field in section.model_fields.items():
        kind = field.annotation
        yield prefix + name.upper()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from variables(kind, f"{prefix}{name.upper()}__")


@pytest.mark.parametrize("words", [words for page in PAGES for words in commands(page)], ids=" ".join)
def test_command_of_the_documentation_is_complete(words: list[str]) -> None:
    check(words)


@pytest.mark.parametrize("words", [words for page in PAGES for words in mentions(page)], ids=" ".join)
def test_command_that_the_documentation_names_exists(words: list[str]) -> None:
    check(words, is_whole=False)


@pytest.mark.parametrize(
    "words",
    [
        ["dance"], ["models", "dance"], ["models", "promote"], ["models", "show", "--no-such"],
        ["simulate"], ["simulate", "a.parquet", "--no-such"], ["train", "--no-such", "1"], ["backtest"], ["tune"],
        ["run", "ingest", "--no-such"], ["run", "backfill"], ["maintain", "no_such"], ["sql-gateway", "--port", "0"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_command_would_be_noticed(words: list[str]) -> None:
    with pytest.raises((Exception, SystemExit)):
        check(words)


def test_documentation_has_the_commands_of_a_tour() -> None:
    shown = {words[0] for words in commands(ROOT / "README.md")}
    assert shown >= {
        "up",
        "buildings",
        "simulate",
        "replay",
        "run",
        "sql",
        "audit",
        "train",
        "models",
        "backtest",
        "devices",
        "check-reading",
        "serve",
        "down",
    }


def test_queries_are_found_in_blocks_and_in_sentences() -> None:
    assert len(queries()) > 5
    inline = [query for page in PAGES for words in mentions(page) for query in asked(words)]
    assert inline
    assert set(inline) <= set(queries())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        link = urlparse(target)
        if link.scheme:
            continue
        file = (page.parent / link.path).resolve() if link.path else page
        assert file.exists(), target
        assert not link.fragment or link.fragment in headings(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_variables_of_the_documentation_exist(page: Path) -> None:
    known = {*variables(Settings), *OTHER_VARIABLES}
    assert set(re.findall(r"WATTCAST_[A-Z_]*[A-Z]", text(page))) <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_of_the_documentation_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", text(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", text(page), re.MULTILINE)) <= targets


def test_submitted_files_exist() -> None:
    submits = [shlex.split(line) for line in shell_lines(ROOT / "README.md") if line.startswith("spark-submit")]
    assert submits
    for words in submits:
        file = next(word for word in words if word.startswith("jobs/"))
        assert (ROOT / file).is_file()
        assert (ROOT / words[words.index("--properties-file") + 1]).is_file()
        job._options((), words[words.index(file) + 1 :])


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(ROOT)).replace(os.sep, "/"))
def test_text_names_no_path_of_a_machine(file: Path) -> None:
    assert not MACHINE_PATH.findall(text(file))
