"""Waiting for a status while the API server does not always answer."""

from typing import Any

import pytest
from tests.lib.deploy.api_server import RESET, ApiServer
from tests.lib.deploy.documents import INGEST, ingest_application

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.errors import Failed
from wattcast.deploy.operations.single_runs import wait_until_ended


def failed_first(times: int, answer: tuple[int, str], path: str) -> Any:
    """A hook that gives the answer to the first requests for a path and leaves all later ones to the server."""
    remaining = [answer] * times
    return lambda _, requested: remaining.pop() if requested == path and remaining else None


UNREACHABLE = {"reset": (RESET, ""), "too many requests": (429, "slow down"), "unavailable": (503, "leader changed")}


@pytest.mark.parametrize("answer", UNREACHABLE.values(), ids=UNREACHABLE)
def test_waiting_continues_while_the_api_server_does_not_answer(server: ApiServer, answer: tuple[int, str]) -> None:
    server.put(INGEST, ingest_application())["status"] = {"applicationState": {"state": "COMPLETED"}}
    server.answer = failed_first(3, answer, INGEST)
    ended = wait_until_ended(Cluster(), ingest_application(), seconds=60)
    assert ended.state == "COMPLETED"
    assert server.requests_of("GET").count(INGEST) == 4


def test_timeout_names_the_api_server_that_does_not_answer(server: ApiServer) -> None:
    server.put(INGEST, ingest_application())
    server.answer = lambda _, path: (503, "no leader") if path == INGEST else None
    with pytest.raises(Failed, match=r"^no leader \(timed out after 0 s\)$"):
        wait_until_ended(Cluster(), ingest_application(), seconds=0)
