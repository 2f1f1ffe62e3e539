"""The address at which a server listens."""

import os
import socket


class PortTaken(OSError):
    """A server cannot listen where it was told to."""


class HostUnknown(OSError):
    """There is no host of that name."""


def listening(server: str, host: str, port: int) -> socket.socket:
    """A socket that listens there, at a free port for port 0; `server` is who is told of in an error.

    Raises:
        HostUnknown: there is no such host.
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
    """Raises as `listening` does unless this process could listen there."""
    listening(server, host, port).close()
