"""Only one deployment at a time works in a namespace."""

import os
import re
import signal
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from tests.lib.deploy.api_server import ApiServer
from tests.lib.deploy.documents import (
    CONF,
    CORE,
    INGEST,
    NAMESPACE,
    NAMESPACES,
    Operator,
    dependencies,
    deploy,
    ingest_application,
    kubernetes_object,
)

from wattcast.cli import cluster as commands
from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.errors import Refused
from wattcast.deploy.rollout import deployment_lock as deployment_lock_module
from wattcast.deploy.rollout.deployment_lock import LOCK, deployment_lock
from wattcast.lake.lease_api import lease_name

LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
LEASE = f"{LEASES}/{lease_name('', LOCK)}"


def lease_of_another_deployment(server: ApiServer) -> None:
    spec = {
        "holderIdentity": "anna@laptop (process 4711)/0a1b2c3d", "leaseDurationSeconds": 1,
        "acquireTime": "2026-01-01T12:00:00.000000Z", "renewTime": "2026-01-01T12:00:05.000000Z",
    }  # fmt: skip
    server.put(LEASE, kubernetes_object("coordination.k8s.io/v1", "Lease", lease_name("", LOCK), spec=spec))


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Lease that is renewed every second; a request may take as long."""
    monkeypatch.setattr(deployment_lock_module, "LEASE_SECONDS", 6)


def holder(server: ApiServer) -> Any:
    return server.objects[LEASE]["spec"].get("holderIdentity")


def test_second_deployment_is_refused_with_the_holder_and_the_time_and_changes_nothing(
    server: ApiServer, tmp_path: Path
) -> None:
    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    with deployment_lock(Cluster(), [NAMESPACE], report=print), pytest.raises(Refused) as refused:
        deploy([*dependencies(conf="2"), ingest_application("wattcast:2")], tmp_path)
    assert re.fullmatch(
        rf"\S+@\S+ \(process {os.getpid()}\) has been deploying to the namespace {NAMESPACE} since "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: wait until that deployment has ended, or interrupt it with Ctrl-C\.",
        str(refused.value),
    )
    assert server.objects[CONF]["data"] == {"a": "1"}
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"


def test_removal_is_refused_while_a_deployment_runs(server: ApiServer, tmp_path: Path) -> None:
    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    with deployment_lock(Cluster(), [NAMESPACE], report=print), pytest.raises(Refused, match="has been deploying"):
        commands.undeploy(manifests=str(tmp_path / "all.yaml"), yes=True)
    assert INGEST in server.objects


def test_deployments_to_two_namespaces_run_at_once(server: ApiServer, tmp_path: Path) -> None:
    Operator(server)
    server.objects[f"{NAMESPACES}/other"] = kubernetes_object("v1", "Namespace", "other")
    with deployment_lock(Cluster(), ["other"], report=print):
        deploy([*dependencies(), ingest_application()], tmp_path)


def test_lease_of_a_killed_deployment_is_taken_over_and_the_user_learns_why_it_takes_time(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lease_of_another_deployment(server)
    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    assert INGEST in server.objects
    assert "is locked by anna@laptop (process 4711)/0a1b2c3d: waiting to see whether" in capsys.readouterr().err


def test_lease_is_released_after_success_and_after_a_rollback(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="FAILED", error="no such meter")
    deploy([*dependencies(), ingest_application()], tmp_path)
    assert holder(server) is None
    with pytest.raises(Refused, match="no such meter"):
        deploy([*dependencies(), ingest_application("wattcast:2")], tmp_path)
    assert holder(server) is None


def test_lease_is_held_until_an_interrupted_deployment_is_rolled_back(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="SUBMITTED")
    deploy([*dependencies(), ingest_application()], tmp_path)
    interrupted: list[str] = []
    holders_while_rolling_back: list[Any] = []

    def answer(method: str, path: str) -> tuple[int, str] | None:
        if not interrupted and (method, path) == ("GET", f"{CORE}/pods"):
            interrupted.append(path)
            os.kill(os.getpid(), signal.SIGINT)
        if interrupted and (method, path) == ("PATCH", INGEST):
            holders_while_rolling_back.append(holder(server))
        return None

    server.answer = answer
    with pytest.raises(Refused, match=r"^Interrupted"):
        deploy([*dependencies(), ingest_application("wattcast:2")], tmp_path)
    assert len(holders_while_rolling_back) == 1
    assert str(holders_while_rolling_back[0]).rpartition("/")[0].endswith(f"(process {os.getpid()})")
    assert holder(server) is None


def test_deployment_whose_lease_was_taken_over_ends_its_process(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons: Queue[str] = Queue()
    monkeypatch.setattr("wattcast.lake.halt.end_process", reasons.put)
    with deployment_lock(Cluster(), [NAMESPACE], report=print):
        lease_of_another_deployment(server)
        assert reasons.get(timeout=30) == (
            "deployment is now locked by anna@laptop (process 4711)/0a1b2c3d: this process ends at once. It leaves the cluster "
            "to the other deployment."
        )


def test_account_without_the_right_to_leases_is_refused_with_the_remedy(server: ApiServer, tmp_path: Path) -> None:
    server.answer = lambda _, path: (403, "no leases") if path.startswith(LEASES) else None
    with pytest.raises(Refused, match=r"403 Forbidden\. The account must have the rights .* k8s/deployer/rights\.yaml"):
        deploy([*dependencies(), ingest_application()], tmp_path)
    assert INGEST not in server.objects
