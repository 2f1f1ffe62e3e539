"""Errors of deployments and of requests to a cluster; each message consists of complete sentences for the user."""

from wattcast.errors import FAILED, REFUSED


class Refused(Exception):
    """The request was refused; the cluster is unchanged."""

    exit_status = REFUSED


class Forbidden(Refused):
    """The account has no permission for the request."""


class NotFound(Refused):
    """The cluster has no object of this name."""


class Unreachable(Refused):
    """The API server did not answer, or answered that it cannot serve now. It may have processed the request nevertheless."""


class Failed(Exception):
    """An operation started and did not succeed; the cluster may have changed."""

    exit_status = FAILED
