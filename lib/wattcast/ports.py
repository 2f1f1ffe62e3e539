"""Addresses at which servers listen."""

import os
import socket

from wattcast.errors import FAILED, REFUSED


class PortTaken(OSError):
    """A server cannot listen at the address."""

    exit_status = FAILED


class HostUnknown(OSError):
    """The host name does not resolve."""

    exit_status = REFUSED


def listening(server: str, host: str, port: int) -> socket.socket:
    """A socket that listens at an address, at any free port for port 0. `server` is the name of the server in messages.

    Raises:
        HostUnknown: the host name does not resolve.
        PortTaken: another program listens there, or the host is not this machine.
    """
    where = f"{server} cannot listen at {host}, port {port}"
    try:
        socket.getaddrinfo(host, port)
    except (socket.gaierror, UnicodeError) as error:
        raise HostUnknown(f"{where}: there is no host of that name.") from error
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error  # without the address that Python adds
        raise PortTaken(f"{where}: {reason}.") from error


def check_port(server: str, host: str, port: int) -> None:
    """Raise the errors of `listening` unless this process could listen at the address."""
    listening(server, host, port).close()
