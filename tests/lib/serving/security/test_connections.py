"""Clients that are slow, many or gone: they are let go, and nobody else is harmed."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.lib.serving.conftest import forecaster, served, settings_of

LARGE, ROWS = "/v1/health?limit=2000", 2000  # an answer of five pieces
HELD_BYTES = 8192


@contextmanager
def connections(client: httpx.Client, number: int, request: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connections that hold little, on each of which this was sent."""
    made = []
    try:
        for _ in range(number):
            made.append(socket.socket())
            made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD_BYTES)
            made[-1].settimeout(30)
            made[-1].connect((client.base_url.host, client.base_url.port or 80))
            made[-1].sendall(request)
        yield made
    finally:
        for each in made:
            each.close()


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: identity\r\n\r\n".encode()


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes or cuts the connection."""
    found = b""
    try:
        while piece := connection.recv(65_536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def open_connections(client: httpx.Client) -> int:
    return client.server.crowd.open()  # type: ignore[attr-defined]


def wait_for(client: httpx.Client, number: int) -> None:
    """Until the server has so many connections, of which one is that of the client."""
    until = time.monotonic() + 30
    while open_connections(client) != number:
        assert time.monotonic() < until
        assert client.get("/healthz").status_code == 200


def test_slow_sender_is_let_go_and_others_are_served(state: Path) -> None:
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


def test_clients_that_take_nothing_are_cut_off_and_harm_nobody(state: Path) -> None:
    current = settings_of(state, slow_client_seconds=2, max_page_rows=ROWS)
    with served(current, send_buffer_bytes=HELD_BYTES) as client:
        whole = client.get(LARGE, headers={"Accept-Encoding": "identity"})
        with connections(client, 20, get(LARGE)) as slow:
            wait_for(client, 21)
            wait_for(client, 1)
            for each in slow:
                assert len(all_of(each)) < len(whole.content)


def test_slow_but_steady_client_gets_its_whole_answer(state: Path) -> None:
    current = settings_of(state, slow_client_seconds=2, max_page_rows=ROWS)
    with served(current, send_buffer_bytes=HELD_BYTES) as client:
        whole = client.get(LARGE, headers={"Accept-Encoding": "identity"}).content
        with connections(client, 1, get(LARGE)) as (slow,):
            began, found, pause = time.monotonic(), b"", threading.Event()
            while not found.endswith(whole[-100:]):
                found += slow.recv(8192)
                pause.wait(0.08)
            assert found.endswith(whole)
            assert time.monotonic() - began > current.serving.slow_client_seconds


@pytest.mark.parametrize("limit", ["max_connections", "max_connections_per_address"])
def test_connection_too_many_is_answered_with_a_problem_except_to_probes(state: Path, limit: str) -> None:
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


def test_head_is_answered_like_get_without_a_body(client: httpx.Client) -> None:
    asked, headed = client.get("/v1/alerts"), client.head("/v1/alerts")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["etag"] == asked.headers["etag"]
    assert client.head("/v1/events").status_code == 405


def test_forwarded_address_is_believed_of_a_trusted_proxy_alone(state: Path, tmp_path: Path) -> None:
    def statuses(**serving: str) -> list[int]:
        keys = str(tmp_path / "keys.json")
        current = settings_of(state, keys_file=keys, burst=3, requests_per_second=1, **serving)
        with served(current, auth=True) as client:
            return [
                client.get("/v1/alerts", headers={"X-Forwarded-For": f"10.0.0.{number}"}).status_code
                for number in range(6)
            ]

    assert statuses()[-1] == 429
    assert statuses(trusted_proxies="127.0.0.1") == [401] * 6


def test_what_is_no_http_is_answered_and_closed(client: httpx.Client) -> None:
    with connections(client, 1, b"\x16\x03\x01 no HTTP\r\n\r\n") as (other,):
        assert all_of(other).startswith(b"HTTP/1.1 400 ")
