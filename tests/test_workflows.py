"""Continuous integration: what the workflows call exists, actions are pinned, and rights are minimal."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.documentation import check

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FILES = [*WORKFLOWS, *sorted((ROOT / ".github/actions").glob("*/action.yml"))]
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
UNTRUSTED_VALUE = re.compile(r"\$\{\{[^}]*\b(inputs|secrets|vars|github\.(event|head_ref|ref_name))\b")
WRITES = {("release.yml", "image", "packages"), ("release.yml", "publish", "contents")}


def parsed(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for file in WORKFLOWS:
        yield from ((file.name, name, job) for name, job in parsed(file)["jobs"].items())


def steps(file: Path) -> list[dict[str, Any]]:
    parts = parsed(file)
    lists = [parts["runs"]["steps"]] if "runs" in parts else [job.get("steps", []) for job in parts["jobs"].values()]
    return [step for steps_of_job in lists for step in steps_of_job]


def scripts() -> list[str]:
    return [step["run"] for file in FILES for step in steps(file) if "run" in step]


def test_workflows_have_the_steps_of_a_release() -> None:
    assert {file.name for file in WORKFLOWS} == {"ci.yml", "model.yml", "release.yml"}
    assert {"make lint", "make test", "make test-k8s", "make dist"} <= set(scripts())


def test_make_targets_of_the_workflows_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for script in scripts() for name in re.findall(r"^make ([\w-]+)", script, re.MULTILINE)} <= targets


def test_files_of_the_workflows_exist() -> None:
    named = [step["with"]["file"] for file in FILES for step in steps(file) if "file" in step.get("with", {})]
    named += [word for script in scripts() for word in re.findall(r"(?<![\w/])\.ci/[\w.]+", script)]
    named += [
        f"{use}/action.yml" for file in FILES for step in steps(file) if (use := step.get("uses", "")).startswith(".")
    ]
    assert len(named) > 5
    assert not [name for name in named if not (ROOT / name).is_file()]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / ".github")).replace(os.sep, "/"))
def test_third_party_action_is_pinned_to_a_commit(file: Path) -> None:
    used = re.findall(r"uses: (?!\./)(.+)", file.read_text(encoding="utf-8"))
    assert used
    assert not [use for use in used if not PINNED.fullmatch(use)]


def test_action_has_one_version_in_all_workflows() -> None:
    used = {use for file in FILES for use in re.findall(r"uses: (?!\./)(.+)", file.read_text(encoding="utf-8"))}
    assert len(used) == len({use.partition("@")[0] for use in used})


def test_job_has_a_timeout_and_only_the_write_rights_it_needs() -> None:
    assert all(parsed(file)["permissions"] == {} for file in WORKFLOWS)
    writes = set()
    for file, name, job in jobs():
        assert "timeout-minutes" in job or "uses" in job, name
        writes |= {(file, name, right) for right, level in job["permissions"].items() if level != "read"}
    assert writes == WRITES


def test_script_gets_untrusted_values_as_environment_variables() -> None:
    """A value that is pasted into the script would be run, or shown in the log."""
    assert not [script for script in scripts() if UNTRUSTED_VALUE.search(script)]


def test_commands_of_the_model_workflow_are_complete() -> None:
    text = (ROOT / ".ci/model").read_text(encoding="utf-8").replace("\\\n", " ")
    called = [shlex.split(words) for words in re.findall(r"^(?:\w+=\$\()?wattcast ([^)>\n]+)", text, re.MULTILINE)]
    assert [words[0] for words in called] == ["train", "backtest", "models", "models", "models"]
    for words in called:
        check([word for word in words if word != "$@"])


def release_notes(tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / ".ci/release_notes.py", tag], capture_output=True, text=True, timeout=60
    )


def test_known_vulnerabilities_of_packages_and_image_fail_the_workflow() -> None:
    audits = [script for script in scripts() if "pip-audit" in script]
    assert {word for script in audits for word in script.split() if word.endswith(".lock")} == {
        file.name for file in ROOT.glob("*.lock")
    }
    scans = [
        step["with"] for step in steps(ROOT / ".github/workflows/ci.yml") if "trivy-action" in step.get("uses", "")
    ]
    budget = {"scanners": "vuln", "severity": "CRITICAL", "exit-code": "1"}
    assert any(scan.items() >= budget.items() and "ignore-unfixed" not in scan for scan in scans)


def test_release_notes_are_the_section_of_the_changelog() -> None:
    result = release_notes("v0.1.0")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("### Added")
    assert "## [" not in result.stdout


def test_release_of_another_version_is_refused() -> None:
    result = release_notes("v0.1.1")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "The tag v0.1.1 is not v0.1.0, the version of pyproject.toml.\n"
