"""Whether a Deployment or a StatefulSet is ready, and what is wrong with one, from the objects of the cluster alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wattcast.deploy.cluster.pod_faults import Fault
from wattcast.deploy.cluster.server_status import is_ready, server_fault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Object = dict[str, Any]


def server(kind: str = "Deployment", *, desired: int | None = 2, generation: int = 3, **status: Any) -> Object:
    spec = {} if desired is None else {"replicas": desired}
    status = {"observedGeneration": generation} | status
    metadata = {"name": "api", "namespace": "wattcast", "generation": generation}
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": status}


def pod(name: str = "api-1", *, revision: str = "b", seconds_old: float = 90, **state: Any) -> Object:
    """A pod that is not ready."""
    labels = {"pod-template-hash": revision, "controller-revision-hash": revision}
    created = (NOW - timedelta(seconds=seconds_old)).isoformat()
    container = {"name": "api", "image": "wattcast:2", "state": state or {"running": {}}}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": created},
        "status": {"phase": "Pending" if "waiting" in state else "Running", "containerStatuses": [container]},
        "spec": {},
    }  # fmt: skip


def event(name: str, reason: str, message: str) -> Object:
    seen = NOW.isoformat()
    return {"involvedObject": {"name": name}, "reason": reason, "message": message, "lastTimestamp": seen}


def fault(of: Object, *pods: Object, events: tuple[Object, ...] = ()) -> Fault | None:
    return server_fault(of, pods, events, now=NOW, last_lines={})


ROLLED_OUT = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
READY = {
    "all replicas available": server(**ROLLED_OUT),
    "one replica by default": server(desired=None, replicas=1, updatedReplicas=1, availableReplicas=1),
    "no replicas": server("StatefulSet", desired=0, replicas=0, availableReplicas=0),
    "old pods that are replaced by hand": server("StatefulSet", desired=1, replicas=1, readyReplicas=1)
    | {"spec": {"replicas": 1, "updateStrategy": {"type": "OnDelete"}}},
}
UNREADY = {
    "no status yet": server() | {"status": {}},
    "a change that is not observed yet": server(observedGeneration=2, **ROLLED_OUT),
    "one replica missing": server(**ROLLED_OUT | {"availableReplicas": 1}),
    "available pods of an old revision": server(replicas=3, updatedReplicas=1, availableReplicas=2),
    "pods of an old revision beside new ones": server(replicas=3, updatedReplicas=2, availableReplicas=2),
}


@pytest.mark.parametrize("ready", READY.values(), ids=READY)
def test_server_is_ready_with(ready: Object) -> None:
    assert is_ready(ready)
    assert fault(ready, pod()) is None


@pytest.mark.parametrize("unready", UNREADY.values(), ids=UNREADY)
def test_server_is_not_ready_with(unready: Object) -> None:
    assert not is_ready(unready)


def test_pod_that_runs_for_a_while_without_being_ready_is_a_fault_with_its_probe() -> None:
    probe = event("api-1", "Unhealthy", "Readiness probe failed: 503")
    assert fault(server(), pod(seconds_old=30), events=(probe,)) is None
    assert fault(server(), pod(), events=(probe,)) == Fault("api-1 runs but is not ready: Readiness probe failed: 503")
    assert fault(server(), pod()) == Fault("api-1 runs but is not ready")


NO_IMAGE = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_image_that_cannot_be_pulled_is_final_for_a_pod_of_the_new_revision_alone(kind: str) -> None:
    old, new = pod("api-0", revision="a", seconds_old=900, **NO_IMAGE), pod("api-1", **NO_IMAGE)
    words = "the image wattcast:2 of {} cannot be pulled: no such image"
    changed = server(kind, updatedReplicas=1, updateRevision="b")
    assert fault(changed, old, new) == Fault(words.format("api-1"), is_final=True)
    without_new = server(kind, updatedReplicas=0, updateRevision="b")
    assert fault(without_new, old) == Fault(words.format("api-0"), is_final=False)
    not_taken_up = server(kind, observedGeneration=2, updatedReplicas=2, updateRevision="a")
    assert fault(not_taken_up, old) == Fault(words.format("api-0"), is_final=False)


def test_pods_that_cannot_be_created_are_a_fault() -> None:
    failing = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    assert fault(server(conditions=[failing])) == Fault("its pods cannot be created: exceeded quota")
    refused = event("api", "FailedCreate", "violates PodSecurity")
    assert fault(server("StatefulSet"), events=(refused,)) == Fault("its pods cannot be created: violates PodSecurity")
