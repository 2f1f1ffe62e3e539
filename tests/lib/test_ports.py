"""A server says in a sentence why it cannot listen, before it does anything else."""

import socket

import pytest

from wattcast.ports import HostUnknown, PortTaken, check_port, listening


def test_port_zero_is_a_free_one() -> None:
    with listening("It", "127.0.0.1", 0) as place, socket.create_connection(place.getsockname()):
        assert place.getsockname()[1] > 0


def test_port_of_another_program_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"^It cannot listen at 127.0.0.1, port {port}: Address already in use.$"):
            check_port("It", "127.0.0.1", port)


def test_address_of_another_machine_is_none_to_listen_at() -> None:
    with pytest.raises(PortTaken, match="Cannot assign requested address"):
        check_port("It", "203.0.113.1", 10000)


@pytest.mark.parametrize("host", ["nope.invalid", "a..b", "x" * 300])
def test_host_that_is_not_known_is_said(host: str) -> None:
    with pytest.raises(HostUnknown, match="there is no host of that name"):
        check_port("It", host, 10000)
