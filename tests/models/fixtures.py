"""Fixtures of the models: raw inputs, artifacts, registries and champions. A conftest.py that needs them imports them."""

import shutil
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

from wattcast.cli.main import main
from wattcast_models.artifact.files import read_artifact, save_artifact
from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.artifact.weights import untrained_network
from wattcast_models.data.readings import Building
from wattcast_models.quantiles import QUANTILES
from wattcast_models.registry.registry import Registry
from wattcast_models.registry.scopes import ALL, Scope
from wattcast_models.tracking.mlflow_store import with_client
from wattcast_models.training.options import TrainingOptions

SHIPPED = read_artifact(shipped_artifact())[0]["version"]  # of the model that comes with the package
Arrays = dict[str, NDArray[Any]]
LONDON = {"timezone": "Europe/London", "country": "GB", "building_type": "", "closures": ""}
INPUTS = ["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy", "calendar", "day_of_year"]


def small_network(*kinds: str) -> dict[str, Any]:
    """The config of a small network, or of an ensemble of several."""
    return TrainingOptions(members=kinds, hidden=16, summary=8).network


def steady(hours: int, *columns: int) -> Building:
    """A building in London whose energy is 0, 1, 2, ... kWh; the other inputs are missing, or 1 in these columns."""
    values = np.full((hours, 4), np.nan, np.float32)
    values[:, 0] = np.arange(hours)
    for column in columns:
        values[:, column] = 1
    return Building("steady", 420_000, values, LONDON)


def flat_building(days: int = 60, kwh: float = 10.0, **place: str) -> Building:
    """A building that uses the same energy every hour."""
    values = np.full((24 * days, 4), np.nan, np.float32)
    values[:, 0] = kwh
    return Building("flat", int(np.datetime64("2023-11-15", "h").astype(int)), values, place)


def frame(buildings: list[Building]) -> pd.DataFrame:
    """The readings of a file that holds these buildings."""
    parts = []
    for building in buildings:
        hours = np.array(building.start + np.arange(building.hours), "datetime64[h]")
        part = pd.DataFrame(building.values, columns=["energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy"])
        parts.append(part.assign(timestamp=pd.to_datetime(hours).tz_localize("UTC"), building_id=building.building_id))
    return pd.concat(parts)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command in this process and returns its exit status and what it wrote as errors."""

    def run_command(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        return int(ended.value.code or 0), capsys.readouterr().err

    return run_command


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
        save_artifact(folder, untrained_network(network, INPUTS, QUANTILES), config)
        return folder

    return write


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an MLflow store that has its tables and nothing in them, made once: that takes seconds."""
    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    with_client(f"sqlite:///{file}", lambda client: client.search_experiments())
    return file


@pytest.fixture
def registry(empty_store: Path, tmp_path: Path) -> Registry:
    """A registry of this test alone."""
    (tmp_path / "mlflow").mkdir()
    shutil.copy(empty_store, tmp_path / "mlflow" / "mlflow.db")
    return Registry(f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def champion(registry: Registry, write_artifact: Callable[..., Path]) -> Callable[..., Predictor]:
    """Makes the artifact of a seed champion and returns its model."""

    def make(seed: int, scope: Scope = ALL) -> Predictor:
        folder = write_artifact(seed)
        registry.set_alias(scope.alias("champion"), registry.register(folder))
        return Predictor.read(folder)

    return make


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
