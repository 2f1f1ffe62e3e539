"""Small raw inputs and a small trained artifact for the tests of the models."""

import runpy
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from wattcast_models import artifact
from wattcast_models.mlflow_store import asked
from wattcast_models.networks import QUANTILES
from wattcast_models.options import TrainingOptions
from wattcast_models.readings import Building
from wattcast_models.registry import Registry

PROJECT = Path(__file__).parents[2]

SHIPPED = artifact.read(artifact.shipped_artifact())[0]["version"]  # of the model that comes with the package
Arrays = dict[str, NDArray[Any]]
INPUTS = ["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy", "calendar", "day_of_year"]


def small_network(*kinds: str) -> dict[str, Any]:
    """The config of a small network, or of an ensemble of several."""
    return TrainingOptions(members=kinds, hidden=16, summary=8).network


def frame(buildings: list[Building]) -> pd.DataFrame:
    """The readings of a file that holds these buildings."""
    parts = []
    for building in buildings:
        hours = np.array(building.start + np.arange(building.hours), "datetime64[h]")
        part = pd.DataFrame(building.values, columns=["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"])
        parts.append(part.assign(timestamp=pd.to_datetime(hours).tz_localize("UTC"), building_id=building.building_id))
    return pd.concat(parts)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a job as the command line does, and returns its exit status and what it wrote as errors."""

    def run_job(job: str, *arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", [job, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(PROJECT / "jobs" / f"{job}.py"), run_name="__main__")
        return int(ended.value.code or 0), capsys.readouterr().err

    return run_job


@pytest.fixture
def raw() -> Callable[..., Arrays]:
    """Builds the raw inputs of `rows` forecasts of a London office that uses 10 to 40 kWh an hour."""

    def build(
        rows: int = 3, *, context_hours: int = 672, lead_hours: int = 24, origin: str = "2024-05-15T00"
    ) -> Arrays:
        rng = np.random.default_rng(7)
        first = np.datetime64(origin, "s")
        hours = (first.astype("datetime64[h]").astype(int) + np.arange(-context_hours, 0)) % 24
        is_open = (hours >= 8) & (hours < 18)
        energy = 10 + 30 * is_open + rng.normal(0, 1, (rows, context_hours))
        return {
            "origin": np.full(rows, first),
            "timezone": np.full(rows, "Europe/London", object),
            "country": np.full(rows, "GB", object),
            "closures": np.full(rows, "", object),
            "building_type": np.full(rows, "", object),
            "energy_usage_kwh": energy.astype(np.float32),
            "temperature_c": rng.normal(12, 4, (rows, context_hours)).astype(np.float32),
            "humidity_pct": rng.uniform(40, 90, (rows, context_hours)).astype(np.float32),
            "occupancy": np.tile(50.0 * is_open, (rows, 1)).astype(np.float32),
            "future_temperature_c": rng.normal(14, 4, (rows, lead_hours)).astype(np.float32),
            "future_humidity_pct": rng.uniform(40, 90, (rows, lead_hours)).astype(np.float32),
        }

    return build


@pytest.fixture
def write_artifact(tmp_path: Path) -> Callable[..., Path]:
    """Writes an artifact with the weights of a seed into a folder of its own and returns the folder."""

    def write(seed: int = 0, kind: str = "mlp", lead_hours: int = 168) -> Path:
        torch.manual_seed(seed)
        network = small_network(kind)
        config = {
            "name": "test",
            "version": f"v{seed}",
            "network": network,
            "inputs": INPUTS,
            "quantiles": list(QUANTILES),
            "context_hours": 672,
            "lead_hours": lead_hours,
        }
        folder = tmp_path / f"{kind}_{seed}"
        artifact.save(folder, artifact.untrained(network, INPUTS, QUANTILES), config)
        return folder

    return write


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an MLflow store that has its tables and nothing in them, made once: that takes seconds."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    asked(f"sqlite:///{file}", lambda client: client.search_experiments())
    return file


@pytest.fixture
def registry(empty_store: Path, tmp_path: Path) -> Registry:
    """A registry of this test alone."""
    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_store, tmp_path / "mlflow" / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")


class _Rubbish(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def rubbish_server() -> Iterator[str]:
    """The address of a server that answers everything with a page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Rubbish)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()
