"""The command `wattcast train` as a process of its own: the same weights again, after a kill, and by several processes."""

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.jobs.steps import wait_until

from wattcast.local.simulation.simulator import write_simulation
from wattcast.settings import project_folder
from wattcast_models import artifact

SMALL = ("batch_windows=64", "check_every_steps=10", "context_hours=672", "hidden=16", "steps=80", "summary=8")
NOWHERE = {"WATTCAST_MODEL__TRACKING_URI": "http://127.0.0.1:1"}  # runs are tracked elsewhere


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "readings.parquet"
    write_simulation(file, buildings=3, days=70, start=date(2026, 1, 1), interval_minutes=60, seed=4)
    return file


def begun(data: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    options = [word for each in SMALL for word in ("--set", each)]
    command = [sys.executable, str(project_folder("jobs") / "train.py"), "--data", str(data), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--network", "mlp", "--seed", "3", *options, *more],
        env=os.environ | NOWHERE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def made(data: Path, out: Path, *more: str) -> dict[str, Any]:
    """The config of the artifact that the command made."""
    process = begun(data, out, *more)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    config, weights = artifact.read(out)
    artifact.build_network(config, weights)
    return config


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Trained without interruption."""
    return made(data, tmp_path_factory.mktemp("whole"))


def test_the_same_seed_gives_the_same_file_of_weights_and_another_seed_another(
    data: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    assert made(data, tmp_path / "again")["sha256"] == whole["sha256"]
    assert made(data, tmp_path / "other", "--seed", "4")["sha256"] != whole["sha256"]


def test_a_killed_command_goes_on_when_it_is_called_again_to_the_same_file_of_weights(
    data: Path, whole: dict[str, Any], tmp_path: Path
) -> None:
    process, checkpoint = begun(data, tmp_path), tmp_path / "checkpoint.pt"
    wait_until(process, checkpoint.exists)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [file.name for file in tmp_path.iterdir() if not file.name.startswith(".")] == ["checkpoint.pt"]
    assert made(data, tmp_path)["sha256"] == whole["sha256"]
    assert not checkpoint.exists()


def test_what_a_killed_command_left_is_refused_for_another_run_and_removed_when_that_begins_anew(
    data: Path, tmp_path: Path
) -> None:
    process, checkpoint = begun(data, tmp_path), tmp_path / "checkpoint.pt"
    wait_until(process, checkpoint.exists)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    other = begun(data, tmp_path, "--seed", "4")
    _, said = other.communicate(timeout=600)
    assert (other.returncode, "remove it to begin anew" in said) == (2, True)
    made(data, tmp_path, "--seed", "4", "--begin-anew")
    assert not checkpoint.exists()


def test_two_processes_by_spark_make_a_model_that_is_as_good(data: Path, whole: dict[str, Any], tmp_path: Path) -> None:
    shared = made(data, tmp_path, "--processes", "2")
    losses = [config["metrics"]["validation_loss"] for config in (whole, shared)]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert (shared["processes"], whole["processes"]) == (2, 1)
    assert shared["sha256"] != whole["sha256"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.pt", "model_config.json"]


def test_several_processes_without_java_are_refused_with_a_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    process = begun(data, tmp_path, "--processes", "2")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "needs Java 17 or newer and JAVA_HOME" in said.splitlines()[-1]
    assert "Traceback" not in said
