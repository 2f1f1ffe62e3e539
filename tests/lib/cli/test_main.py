"""The program: help is fast and complete, and an error that a user can fix is one line."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.commands import PROGRAM, Wattcast

from wattcast.cli.lazy import load
from wattcast.cli.main import LAZY, app

HEAVY = ("pyspark", "torch", "great_expectations", "pandas", "numpy", "kafka", "pydantic", "rich")
HELP_SECONDS = 0.5


def test_help_imports_no_heavy_package() -> None:
    code = (
        "import sys\nfrom wattcast.cli.main import main\nsys.argv = ['wattcast', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (completed.returncode, completed.stderr) == (0, "[]\n")


def test_help_answers_within_half_a_second() -> None:
    def seconds() -> float:
        start = time.monotonic()
        subprocess.run([PROGRAM, "--help"], check=True, capture_output=True, timeout=60)
        return time.monotonic() - start

    assert min(seconds() for _ in range(5)) <= HELP_SECONDS  # the minimum, because other programs use the machine too


def test_process_exits_with_the_status_and_one_line(
    wattcast_process: Wattcast, no_broker: dict[str, str], tmp_path: Path
) -> None:
    result = wattcast_process("run", "ingest", "--once", **no_broker | {"JAVA_HOME": str(tmp_path)})
    assert result.status == 2
    assert "needs Java 17 or newer and JAVA_HOME" in result.line


@pytest.mark.parametrize(
    "command",
    [
        ["run", "ingest", "--once"],
        ["sql", "--engine", "spark", "SELECT 1"],
        ["sql", "SELECT 1 / 0"],
        ["up"],
        ["demo"],
        ["audit"],
    ],
)
def test_missing_java_is_one_line(
    command: list[str], wattcast: Wattcast, no_broker: dict[str, str], tmp_path: Path
) -> None:
    result = wattcast(*command, **no_broker | {"JAVA_HOME": str(tmp_path)})
    assert result.status == 2
    assert "needs Java 17 or newer and JAVA_HOME" in result.line


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["train"], "Usage: wattcast train "), (["tune"], "Usage: wattcast tune "), (["serve"], "Usage: wattcast serve "),
        (["backtest"], "Usage: wattcast backtest "), (["explain"], "Usage: wattcast explain "),
        (["benchmark"], "Usage: wattcast benchmark "), (["benchmark-serving"], "Usage: wattcast benchmark-serving "),
        (["models", "promote"], "Usage: wattcast models promote "), (["maintain"], "usage: wattcast maintain "),
        (["sql-gateway"], "usage: wattcast sql-gateway "), (["run", "backfill"], "usage: wattcast run backfill "),
        (["run", "pipeline"], "usage: wattcast run pipeline "), (["run"], "Usage: wattcast run "),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)  # fmt: skip
def test_usage_of_a_command_names_the_command(words: list[str], usage: str, wattcast: Wattcast) -> None:
    result = wattcast(*words, "--help")
    assert (result.status, result.out[: len(usage)]) == (0, usage)


def options_of(command: Any, path: str) -> Iterator[tuple[str, str | None]]:
    """The options of a command and its subcommands, each with its help."""
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield f"{path} {parameter.opts[-1]}", parameter.help
    for name, subcommand in getattr(command, "commands", {}).items():
        yield from options_of(subcommand, f"{path} {name}")


def test_every_option_has_a_help_text() -> None:
    commands = {"wattcast": typer.main.get_command(app)}
    commands |= {name: load(f"wattcast.cli.{target}", name) for name, (target, _) in LAZY.items()}
    options = [option for name, command in commands.items() for option in options_of(command, name)]
    assert len(options) > 100
    assert [option for option, help_text in options if not help_text] == []


@pytest.mark.parametrize("group", [[], ["buildings"], ["keys"], ["submit"], ["backfill"]], ids=" ".join)
def test_list_of_commands_shows_each_summary_in_full(
    group: list[str], wattcast: Wattcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, _, commands = wattcast(*group, "--help").out.partition("Commands:\n")
    assert [line for line in commands.splitlines() if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize("command", [["status"], ["up"], ["keys", "create", "me"], ["devices"]], ids=" ".join)
@pytest.mark.parametrize("below", ["", "state"])
def test_file_instead_of_the_state_folder_is_one_line(
    command: list[str], below: str, wattcast: Wattcast, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    result = wattcast(*command, WATTCAST_STATE=str(file / below))
    assert (result.status, result.line) == (2, f"Setting state: {file} is a file, not a folder.\n")


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("WATTCAST_KAFKA__PARTITIONS", "0", "Setting kafka.partitions: Input should be greater than 0."),
        ("WATTCAST_BATCH__NO_SUCH", "1", "Setting batch.no_such: Extra inputs are not permitted."),
        ("WATTCAST_PROFILE", "moon", "has no moon.yaml: check WATTCAST_CONF and WATTCAST_PROFILE."),
    ],
)
def test_wrong_setting_is_named(variable: str, value: str, message: str, wattcast: Wattcast) -> None:
    result = wattcast("status", **{variable: value})
    assert result.status == 2
    assert message in result.line
