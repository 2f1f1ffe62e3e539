"""`wattcast train` trains the same weights again, after a kill, and in several processes."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.steps import wait_until
from typer import Typer
from typer.testing import CliRunner

from wattcast.cli.models import train
from wattcast.local.simulation.simulator import write_simulation
from wattcast.settings import project_folder, settings
from wattcast_models.artifact.files import read_artifact
from wattcast_models.artifact.weights import build_network

SMALL = ("batch_windows=64", "check_every_steps=10", "context_hours=672", "hidden=16", "lead_hours=24", "steps=80",
         "summary=8")  # fmt: skip
NOWHERE = {"WATTCAST_MODEL__TRACKING_URI": "http://127.0.0.1:1"}  # runs are not tracked here


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "readings.parquet"
    write_simulation(file, buildings=3, days=70, start=date(2026, 1, 1), interval_minutes=60, seed=4)
    return file


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    options = [word for assignment in SMALL for word in ("--set", assignment)]
    return ["--data", str(data), "--out", str(out), "--network", "mlp", "--seed", "3", *options, *more]


def start_training(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(project_folder("jobs") / "train.py"), *arguments(data, out, *more)],
        env=os.environ | NOWHERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def trained(data: Path, out: Path, *more: str) -> dict[str, Any]:
    """The config of the artifact that the command writes as a process of its own."""
    process = start_training(data, out, *more)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return checked_config(out)


def trained_in_this_process(data: Path, out: Path, *more: str) -> dict[str, Any]:
    """The config of the artifact that the command writes when it runs in this process, which needs no new imports."""
    app = Typer()
    app.command()(train.main)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in NOWHERE.items():
            environment.setenv(name, value)
        settings.cache_clear()
        result = CliRunner().invoke(app, arguments(data, out, *more))
    settings.cache_clear()
    assert result.exit_code == 0, result.output
    return checked_config(out)


def checked_config(folder: Path) -> dict[str, Any]:
    config, weights = read_artifact(folder)
    build_network(config, weights)
    return config


@pytest.fixture(scope="module")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The config of an uninterrupted training."""
    return trained(data, tmp_path_factory.mktemp("uninterrupted"))


@pytest.fixture(scope="module")
def killed_folder(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training leaves that is killed after its first checkpoint."""
    folder = tmp_path_factory.mktemp("killed")
    process = start_training(data, folder)
    wait_until(process, (folder / "checkpoint.pt").exists)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [file.name for file in folder.iterdir() if not file.name.startswith(".")] == ["checkpoint.pt"]
    return folder


@pytest.fixture
def killed(killed_folder: Path, tmp_path: Path) -> Path:
    """A copy of `killed_folder`."""
    return shutil.copytree(killed_folder, tmp_path / "killed")


def test_the_same_seed_gives_the_same_file_of_weights(
    data: Path, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    assert trained_in_this_process(data, tmp_path / "again")["sha256"] == uninterrupted["sha256"]


def test_a_killed_command_resumes_to_the_same_file_of_weights(
    data: Path, uninterrupted: dict[str, Any], killed: Path
) -> None:
    assert trained(data, killed)["sha256"] == uninterrupted["sha256"]
    assert not (killed / "checkpoint.pt").exists()


def test_a_checkpoint_of_another_seed_is_refused_and_removed_with_begin_anew(
    data: Path, uninterrupted: dict[str, Any], killed: Path
) -> None:
    refused = start_training(data, killed, "--seed", "4")
    _, errors = refused.communicate(timeout=600)
    assert (refused.returncode, "remove it or add --begin-anew" in errors) == (2, True)
    assert (killed / "checkpoint.pt").exists()
    begun_anew = trained_in_this_process(data, killed, "--seed", "4", "--begin-anew")
    assert begun_anew["sha256"] != uninterrupted["sha256"]
    assert not (killed / "checkpoint.pt").exists()


def test_two_processes_started_by_spark_train_as_well_as_one(
    data: Path, uninterrupted: dict[str, Any], tmp_path: Path
) -> None:
    shared = trained(data, tmp_path, "--processes", "2")
    losses = [config["metrics"]["validation_loss"] for config in (uninterrupted, shared)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert (shared["processes"], uninterrupted["processes"]) == (2, 1)
    assert shared["sha256"] != uninterrupted["sha256"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.pt", "model_config.json"]


def test_several_processes_without_java_are_a_one_line_error(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    process = start_training(data, tmp_path, "--processes", "2")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "needs Java 17 or newer and JAVA_HOME" in errors.splitlines()[-1]
    assert "Traceback" not in errors
