"""The servers say why they cannot listen, and end on SIGTERM."""

import os
import socket
import subprocess

from tests.commands import PROGRAM, Wattcast


def test_server_says_why_it_cannot_listen(wattcast: Wattcast, no_broker: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = wattcast("serve", "--port", port, **no_broker)
    message = f"The API cannot listen at 127.0.0.1, port {port}: Address already in use.\n"
    assert (result.status, result.line) == (1, message)
    result = wattcast("serve", "--host", "nope.invalid", **no_broker)
    message = "The API cannot listen at nope.invalid, port 8080: there is no host of that name.\n"
    assert (result.status, result.line) == (2, message)
    result = wattcast("sql-gateway", "--host", "nope.invalid", **no_broker)
    message = "The SQL gateway cannot listen at nope.invalid, port 10000: there is no host of that name.\n"
    assert (result.status, result.line) == (2, message)


def test_server_for_other_machines_warns_without_a_key_and_ends_on_sigterm(no_broker: dict[str, str]) -> None:
    server = subprocess.Popen(
        [PROGRAM, "serve", "--host", "0.0.0.0", "--port", "0"],
        env=os.environ | no_broker, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with server:
        assert server.stderr is not None
        lines = [server.stderr.readline() for _ in range(3)]
        server.terminate()
        rest = server.stderr.read()
    assert f"Serving {no_broker['WATTCAST_STATE']}/lake at http" in lines[0]
    assert "(API keys required)" in lines[0]
    assert "Keys and data travel unencrypted to 0.0.0.0: set --tls-certificate and --tls-key" in lines[1]
    assert (
        "There is no valid API key, so all requests are refused: create one with `wattcast keys create NAME`."
        in lines[2]
    )
    assert server.returncode == 0, rest
