"""Two processes that train one network, started as torch starts them."""

import os
import pickle
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from wattcast_models.artifact.weights import weights_bytes
from wattcast_models.data.readings import Building
from wattcast_models.data.training_data import TrainingData
from wattcast_models.training.loop import TrainingRun, train
from wattcast_models.training.options import TrainingOptions
from wattcast_models.training.process_group import ProcessGroup

SMALL = TrainingOptions(
    members=("mlp", "profile"), hidden=16, summary=8, dropout=0.1, steps=40, batch_windows=65, check_every_steps=10,
    context_hours=672,
)  # fmt: skip
MEMBER = (
    "import pickle, sys\nfrom pathlib import Path\nfrom wattcast_models.training.distributed import train_rank\n"
    "source, options, checkpoint = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
    "Path(sys.argv[2]).write_text(train_rank(source, options, checkpoint, lambda step, losses: None))\n"
    "threads = [file.read_text().strip() for file in Path('/proc/self/task').glob('*/comm')]\n"
    "assert 'pt_gloo_runloop' not in threads, threads"
)


@pytest.fixture
def source(tmp_path: Path) -> TrainingData:
    hours = np.arange(80 * 24)
    energy = 10 + 5 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(1).normal(0, 0.5, len(hours))
    start = pd.Timestamp("2026-01-01", tz="UTC")
    rows = {"timestamp": start + pd.to_timedelta(hours, "h"), "building_id": "a", "energy_usage_kwh": energy}
    pd.DataFrame(rows).to_parquet(tmp_path / "readings.parquet")
    return TrainingData(tmp_path / "readings.parquet", synthetic_count=2)


@dataclass(frozen=True)
class Member:
    """The output of a process and the return value of `train_rank` in it."""

    printed: str
    returned: str


def learn_in_two(source: TrainingData, options: TrainingOptions, checkpoint: Path) -> list[Member]:
    task = checkpoint.with_suffix(".task")
    task.write_bytes(pickle.dumps((source, options, checkpoint)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", MEMBER, str(task), str(checkpoint.with_suffix(f".{rank}"))],
            env=os.environ | address | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return [Member(output, checkpoint.with_suffix(f".{rank}").read_text()) for rank, output in enumerate(printed)]


def buildings(source: TrainingData) -> list[Building]:
    return [*source.recorded_buildings(), *source.synthetic_buildings()]


def left_at(checkpoint: Path, source: TrainingData) -> TrainingRun:
    run = TrainingRun.start(buildings(source), SMALL, group=ProcessGroup(size=2))
    run.load(checkpoint)
    return run


def test_two_processes_train_as_well_as_one_and_bit_for_bit_the_same_after_a_stop(
    source: TrainingData, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    alone = train(buildings(source), SMALL, show_progress=False)
    first, second = learn_in_two(source, SMALL, tmp_path / "whole.pt")
    whole = left_at(tmp_path / "whole.pt", source)
    assert (first.printed.count("\n"), second.printed) == (SMALL.steps // SMALL.check_every_steps, "")
    assert whole.step == SMALL.steps
    assert whole.best_loss == pytest.approx(alone.metrics["validation_loss"], rel=0.1)

    learn_in_two(source, replace(SMALL, minutes=1e-9), tmp_path / "stopped.pt")  # the time limit ends it after one step
    assert left_at(tmp_path / "stopped.pt", source).step == 1
    learn_in_two(source, SMALL, tmp_path / "stopped.pt")
    again = left_at(tmp_path / "stopped.pt", source)
    same, other = (weights_bytes(run.finish().network) for run in (whole, again))
    assert same == other != weights_bytes(alone.network)


def test_a_divergence_is_returned_by_both_processes(source: TrainingData, tmp_path: Path) -> None:
    members = learn_in_two(source, replace(SMALL, weight_decay=1e30), tmp_path / "checkpoint.pt")
    assert ["try a lower learning rate" in member.returned for member in members] == [True, True]


def test_a_checkpoint_of_another_number_of_processes_is_refused(source: TrainingData, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    TrainingRun.start(buildings(source), SMALL).save(checkpoint)
    with pytest.raises(ValueError, match="other data or options"):
        left_at(checkpoint, source)
