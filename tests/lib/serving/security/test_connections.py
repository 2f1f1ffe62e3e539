"""Slow, idle and too many connections: they are closed, and other clients are not affected."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.lib.serving.conftest import ServedClient, forecaster, served, settings_of

from wattcast.serving.security.connections import EXTRA_PROBE_CONNECTIONS

LARGE, ROWS = "/v1/health?limit=2000", 2000  # an answer of five pieces


HELD_BYTES = 8192


@contextmanager
def connections(client: ServedClient, number: int, request: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections with small receive buffers, each of which has sent `request`."""
    sockets = []
    try:
        for _ in range(number):
            sockets.append(socket.socket())
            sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_BYTES)
            sockets[-1].settimeout(30)
            sockets[-1].connect((client.base_url.host, client.base_url.port or 80))
            sockets[-1].sendall(request)
        yield sockets
    finally:
        for connection in sockets:
            connection.close()


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n".encode()


def all_of(connection: socket.socket) -> bytes:
    """All data until the server closes or resets the connection."""
    received = b""
    try:
        while piece := connection.recv(65_536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def open_connections(client: ServedClient) -> int:
    return client.server.connections.open_connections()


def wait_for(client: ServedClient, number: int) -> None:
    """Wait until the server has this number of connections, including that of the client."""
    until = time.monotonic() + 30
    while open_connections(client) != number:
        assert time.monotonic() < until
        assert client.get("/healthz").status_code == 200


def test_slow_sender_gets_408_and_others_are_served(state: Path) -> None:
    with served(settings_of(state, slow_client_seconds=1), forecaster()) as client:
        head = (
            b"POST /v1/forecasts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        with connections(client, 1, head) as (slow,):
            assert client.get("/v1/buildings/building-0/forecast").status_code == 200
            assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_body_that_trickles_in_has_one_deadline(state: Path) -> None:
    with served(settings_of(state, slow_client_seconds=1), forecaster()) as client:
        head = (
            b"POST /v1/forecasts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        with connections(client, 1, head) as (slow,):
            slow.settimeout(0.3)
            answer = b""
            for _ in range(60):
                slow.sendall(b" ")
                try:
                    answer = slow.recv(4096)
                    break
                except TimeoutError:
                    continue
            assert answer.startswith(b"HTTP/1.1 408 ")


def test_clients_that_read_nothing_are_disconnected(state: Path) -> None:
    current = settings_of(state, slow_client_seconds=2, max_page_rows=ROWS)
    with served(current, send_buffer_bytes=HELD_BYTES) as client:
        whole = client.get(LARGE, headers={"Accept-Encoding": "identity"})
        with connections(client, 20, get(LARGE)) as slow:
            wait_for(client, 21)
            wait_for(client, 1)
            for connection in slow:
                assert len(all_of(connection)) < len(whole.content)


def test_slow_but_steady_client_gets_the_whole_response(state: Path) -> None:
    current = settings_of(state, slow_client_seconds=2, max_page_rows=ROWS)
    with served(current, send_buffer_bytes=HELD_BYTES) as client:
        whole = client.get(LARGE, headers={"Accept-Encoding": "identity"}).content
        with connections(client, 1, get(LARGE)) as (slow,):
            began, received, pause = time.monotonic(), b"", threading.Event()
            while not received.endswith(whole[-100:]):
                received += slow.recv(8192)
                pause.wait(0.08)
            assert received.endswith(whole)
            assert time.monotonic() - began > current.serving.slow_client_seconds


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_address"])
def test_connection_above_the_limit_gets_a_problem_except_for_probes(state: Path, limit: str) -> None:
    with served(settings_of(state, **{limit: 3})) as client:
        client.close()  # whose connection counts
        with connections(client, 3) as idle:
            with connections(client, 2) as more:
                more[0].sendall(get("/healthz"))
                assert more[0].recv(4096).startswith(b"HTTP/1.1 200 ")
                more[1].sendall(get("/v1/alerts"))
                refused = all_of(more[1])
                assert refused.startswith(b"HTTP/1.1 503 ")
                assert b"application/problem+json" in refused
            idle[0].sendall(get("/v1/alerts"))
            assert idle[0].recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_address"])
def test_probes_are_answered_however_many_idle_connections_are_open(state: Path, limit: str) -> None:
    with served(settings_of(state, **{limit: 3})) as client:
        client.close()
        with connections(client, 3 + 2 * EXTRA_PROBE_CONNECTIONS), connections(client, 5) as probes:
            for probe in probes:
                probe.sendall(get("/healthz"))
            assert [probe.recv(4096)[:13] for probe in probes] == [b"HTTP/1.1 200 "] * 5
            assert open_connections(client) <= 3 + EXTRA_PROBE_CONNECTIONS + 1


def test_data_that_are_not_http_get_400_and_the_connection_is_closed(client: ServedClient) -> None:
    with connections(client, 1, b"\x16\x03\x01 no HTTP\r\n\r\n") as (other,):
        assert all_of(other).startswith(b"HTTP/1.1 400 ")
