"""A lake that is written without Spark, and servers over it on real sockets."""

import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.lib.serving.lake import write_lake

from wattcast.forecast.context import Predictor
from wattcast.serving.app import create_app
from wattcast.serving.on_demand.forecaster import Forecaster
from wattcast.serving.server import ApiServer, create_server
from wattcast.serving.state import ServingState, state_of
from wattcast.settings import Settings, settings


class ServedClient(httpx.Client):
    """A client of a server in this process, whose parts a test may reach."""

    def __init__(self, app: FastAPI, server: ApiServer, base_url: str, certificate: str = "") -> None:
        trusted = ssl.create_default_context(cafile=certificate) if certificate else True
        super().__init__(base_url=base_url, timeout=60, verify=trusted)
        self.app, self.server = app, server

    @property
    def state(self) -> ServingState:
        return state_of(self.app)

    def refresh(self) -> None:
        """Read the tables now."""
        self.state.snapshot.refresh()


def settings_of(state: Path, **serving: object) -> Settings:
    """Settings of a server over the lake of this state folder."""
    changes = {"refresh_seconds": 0.05, "max_page_rows": 500, **serving}
    return settings().with_changes(serving=changes).model_copy(update={"state": state, "lake": ""})


def forecaster(model: Predictor | None = None) -> Forecaster:
    """Forecasts with this model, or without one by the fallback methods."""
    threads = ThreadPoolExecutor(1)
    return Forecaster(lambda *_: model, lambda: threads, lambda: None)


@contextmanager
def served(
    current: Settings, forecaster: Forecaster | None = None, *, auth: bool = False, send_buffer_bytes: int | None = None
) -> Iterator[ServedClient]:
    """A client of a new server that has read the lake once; `send_buffer_bytes` is the size of the send buffer of its
    connections."""
    app = create_app(current, forecaster, auth=auth)
    state_of(app).snapshot.refresh()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        if send_buffer_bytes:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        scheme = "https" if current.serving.tls_certificate else "http"
        address = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"
        server = create_server(app, current.serving)
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        try:
            with ServedClient(app, server, address, current.serving.tls_certificate) as client:
                while not server.started and thread.is_alive():
                    thread.join(0.02)
                yield client
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a lake that no test changes."""
    folder = tmp_path_factory.mktemp("serving")
    write_lake(folder / "lake", buildings=5, days=14)
    return folder


@pytest.fixture(scope="session")
def client(state: Path) -> Iterator[ServedClient]:
    with served(settings_of(state)) as client:
        yield client
