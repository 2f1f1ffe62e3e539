"""The documentation agrees with the code: its commands, settings, links and make targets exist."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest
import typer
from docs.repository_links import site_link
from pydantic import BaseModel
from tests.documentation import (
    PAGES,
    ROOT,
    check,
    commands,
    headings,
    mentions,
    page_name,
    queries,
    shell_lines,
    sql_of,
    text,
)

from wattcast.runtime.options import streaming_options
from wattcast.settings import Settings

TEXTS = [*PAGES, *sorted((ROOT / "examples").glob("*.*")), *sorted((ROOT / "conf").glob("*.*"))]
MACHINE_PATH = re.compile(r"(?<![\w.<$}-])/(?:root|home|Users|work|tmp|opt|usr|var|mnt|workspace)/[\w.-]+")
OTHER_VARIABLES = {"WATTCAST_PROFILE", "WATTCAST_CONF", "WATTCAST_CACHE", "WATTCAST_LOG_LEVEL", "WATTCAST_DATA"}
TOUR_COMMANDS = {
    "up", "buildings", "simulate", "replay", "run", "sql", "audit", "train", "models", "backtest", "devices",
    "check-reading", "serve", "down",
}  # fmt: skip


def variables(section: type[BaseModel], prefix: str = "WATTCAST_") -> Iterator[str]:
    """The environment variables of all settings in a section."""
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
    ("command", "message"),
    [
        ("dance", "No such command 'dance'"),
        ("models dance", "No such command 'dance'"),
        ("models promote", "Missing parameter: version"),
        ("models show --no-such", "No such option: --no-such"),
        ("simulate", "Missing parameter: out"),
        ("simulate a.parquet --no-such", "No such option: --no-such"),
        ("train --no-such 1", "No such option: --no-such"),
        ("backtest", "Missing parameter: data"),
        ("tune", "Missing parameter: data"),
    ],
)
def test_wrong_command_of_typer_is_refused_by_the_check(command: str, message: str) -> None:
    with pytest.raises(typer.TyperException) as refusal:
        check(command.split())
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run ingest --no-such", "unrecognized arguments: --no-such"),
        ("run backfill", "the following arguments are required: --from, --to"),
        ("maintain no_such", "no_such"),
        ("sql-gateway --port 0", "argument --port"),
    ],
)
def test_wrong_command_of_a_job_is_refused_by_the_check(
    command: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        check(command.split())
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err


def test_readme_tours_the_main_commands() -> None:
    assert {words[0] for words in commands(ROOT / "README.md")} >= TOUR_COMMANDS


def test_queries_are_collected_from_blocks_and_from_prose() -> None:
    assert len(queries()) > 5
    inline = [query for page in PAGES for words in mentions(page) for query in sql_of(words)]
    assert inline
    assert set(inline) <= set(queries())


def test_each_threat_names_tests_that_exist() -> None:
    section = text(ROOT / "SECURITY.md").partition("\n## Threats, defences and tests\n")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row[-1]) for row in rows]
    assert len(rows) > 10
    assert [row[0] for row, tests in zip(rows, named, strict=True) if not tests] == []
    missing = [(file, name) for tests in named for file, name in tests if f"\ndef {name}(" not in text(ROOT / file)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        link = urlparse(target)
        if link.scheme:
            continue
        file = (page.parent / link.path).resolve() if link.path else page
        assert file.exists(), target
        assert not link.fragment or link.fragment in headings(file), target


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_environment_variables_of_the_page_exist(page: Path) -> None:
    existing = {*variables(Settings), *OTHER_VARIABLES}
    assert set(re.findall(r"WATTCAST_[A-Z_]*[A-Z]", text(page))) <= existing


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_make_targets_of_the_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", text(ROOT / "Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z0-9-]+)", text(page), re.MULTILINE)) <= targets


def test_submitted_files_exist() -> None:
    submits = [shlex.split(line) for line in shell_lines(ROOT / "README.md") if line.startswith("spark-submit")]
    assert submits
    for words in submits:
        file = next(word for word in words if word.startswith("jobs/"))
        assert (ROOT / file).is_file()
        assert (ROOT / words[words.index("--properties-file") + 1]).is_file()
        streaming_options("", (), words[words.index(file) + 1 :])


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(ROOT)).replace(os.sep, "/"))
def test_text_names_no_path_of_a_machine(file: Path) -> None:
    assert not MACHINE_PATH.findall(text(file))


def test_messages_of_the_runbook_are_those_of_the_code() -> None:
    table = re.search(r"^\| message \|.*?\n\n", text(ROOT / "docs/runbook.md"), re.DOTALL | re.MULTILINE)
    assert table is not None
    messages = re.findall(r"^\| `([^`]+)` \|", table[0], re.MULTILINE)
    assert len(messages) > 8
    source = "".join(text(file) for folder in ("lib", "models") for file in sorted((ROOT / folder).glob("**/*.py")))
    source = re.sub(r"\{[^{}]*\}", "...", source)
    parts = {part.strip() for message in messages for part in re.sub(r"\d+", "...", message).split("...")}
    assert sorted(part for part in parts if part not in source) == []


def tree_paths() -> dict[str, str]:
    """The paths of the tree at the top of docs/architecture.md, and the description of each."""
    tree = re.search(
        r"^## The tree\n\n```text\n(.*?)^```", text(ROOT / "docs/architecture.md"), re.DOTALL | re.MULTILINE
    )
    assert tree is not None
    paths, folder = {}, ""
    for line in tree[1].splitlines():
        entry = re.fullmatch(r"([├└]── )?(\S+) +(\S.*)", line)
        assert entry is not None, line
        is_child, name, description = entry.groups()
        folder = folder if is_child else name
        paths[folder + name if is_child else name] = description
    return paths


def code_entries(folder: str) -> set[str]:
    """The packages (with a slash) and modules of a folder of the repository."""
    entries = [entry for entry in (ROOT / folder).iterdir() if entry.name != "__pycache__"]
    packages = {f"{folder}{entry.name}/" for entry in entries if entry.is_dir() and any(entry.glob("**/*.py"))}
    return packages | {f"{folder}{entry.name}" for entry in entries if entry.suffix == ".py"} - {f"{folder}__init__.py"}


def test_every_path_of_the_tree_in_the_architecture_exists() -> None:
    assert [path for path in tree_paths() if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("folder", ["jobs/", "lib/wattcast/", "models/wattcast_models/"])
def test_tree_in_the_architecture_names_every_package_and_module(folder: str) -> None:
    assert sorted(code_entries(folder) - set(tree_paths())) == []


def test_tree_in_the_architecture_names_every_test_folder() -> None:
    assert (
        sorted(code_entries("tests/") - set(tree_paths()) - {f"tests/{file.name}" for file in ROOT.glob("tests/*.py")})
        == []
    )


def test_documentation_site_builds_without_a_broken_link(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "forecast origin" in text(tmp_path / "glossary.html")
    assert "Kubernetes" in text(tmp_path / "k8s.html")
    pages = {page.name: text(page) for page in tmp_path.glob("**/*.html")}
    assert [name for name, html in pages.items() if re.search(r'(src|href)="https?://[^"]*\.(js|css)"', html)] == []


def test_link_out_of_the_site_leads_to_the_repository_or_becomes_text() -> None:
    link = ("source", "../lib/wattcast/errors.py", "docs/architecture.md", "architecture.md")
    assert site_link(*link, "https://example.org/wattcast") == (
        "[source](https://example.org/wattcast/blob/main/lib/wattcast/errors.py)"
    )
    assert site_link(*link, None) == "source"
    assert site_link("k8s", "../../k8s/README.md#deploy", "docs/decisions/a.md", "decisions/a.md", None) == (
        "[k8s](../k8s.md#deploy)"
    )
    assert site_link("runbook", "../docs/runbook.md", "k8s/README.md", "k8s.md", None) == "[runbook](runbook.md)"


def test_index_of_the_decision_records_lists_each_of_them() -> None:
    folder = ROOT / "docs/decisions"
    linked = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", text(folder / "README.md"))
    assert linked == sorted(record.name for record in folder.glob("[0-9]*.md"))


@pytest.mark.parametrize("record", sorted((ROOT / "docs/decisions").glob("[0-9]*.md")), ids=lambda record: record.stem)
def test_decision_record_has_its_number_and_every_section(record: Path) -> None:
    lines = text(record).splitlines()
    assert lines[0].startswith(f"# {record.name[:4]}. ")
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]


def test_glossary_has_one_row_per_term() -> None:
    terms = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", text(ROOT / "docs/glossary.md"), re.MULTILINE)
    assert len(terms) > 60
    assert len({term for term in terms if term != "term"}) == len([term for term in terms if term != "term"])
