"""A lake without Spark, and servers over it on real sockets."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.lib.serving.lake import write_lake

from wattcast.ladder import Predictor
from wattcast.serving.app import Forecaster, app
from wattcast.serving.server import server
from wattcast.settings import Settings, settings


def settings_of(state: Path, **serving: object) -> Settings:
    """Settings of a server over the lake of this state folder."""
    changes = {"refresh_seconds": 0.05, "max_page_rows": 500, **serving}
    return settings().with_changes(serving=changes).model_copy(update={"state": state, "lake": ""})


def forecaster(model: Predictor | None = None) -> Forecaster:
    """What forecasts with this model, or without one by the ladder."""
    threads = ThreadPoolExecutor(1)
    return Forecaster(lambda *_: model, lambda: threads, lambda: None)


@contextmanager
def served(
    current: Settings, forecaster: Forecaster | None = None, *, auth: bool = False, send_buffer_bytes: int | None = None
) -> Iterator[httpx.Client]:
    """A client of a server of its own, which has looked at the lake once; `send_buffer_bytes` is what its connections hold of an
    answer that nobody takes."""
    made = app(current, forecaster, auth=auth)
    made.state.serving.snapshot.refresh()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        if send_buffer_bytes:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = server(made, current.serving)
        thread = threading.Thread(target=serving.run, args=([listening],), daemon=True)
        thread.start()
        try:
            with httpx.Client(base_url=address, timeout=60) as client:
                client.app, client.server = made, serving  # type: ignore[attr-defined]
                while not serving.started and thread.is_alive():
                    thread.join(0.02)
                yield client
        finally:
            serving.should_exit = True
            thread.join(30)


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with a lake that no test changes."""
    folder = tmp_path_factory.mktemp("serving")
    write_lake(folder / "lake", buildings=5, days=14)
    return folder


@pytest.fixture(scope="session")
def client(state: Path) -> Iterator[httpx.Client]:
    with served(settings_of(state)) as client:
        yield client
