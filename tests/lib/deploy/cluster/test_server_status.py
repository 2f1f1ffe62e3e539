"""Whether a Deployment or a StatefulSet is ready, and what is wrong with one, from the objects of the cluster alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wattcast.deploy.diagnosis import Fault
from wattcast.deploy.servers import fault_of, is_ready

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Object = dict[str, Any]


def server(kind: str = "Deployment", *, wanted: int | None = 2, generation: int = 3, **status: Any) -> Object:
    spec = {} if wanted is None else {"replicas": wanted}
    status = {"observedGeneration": generation} | status
    metadata = {"name": "api", "namespace": "wattcast", "generation": generation}
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": status}


def pod(name: str = "api-1", *, revision: str = "b", seconds_old: float = 90, **state: Any) -> Object:
    """A pod that is not ready."""
    labels = {"pod-template-hash": revision, "controller-revision-hash": revision}
    made = (NOW - timedelta(seconds=seconds_old)).isoformat()
    container = {"name": "api", "image": "wattcast:2", "state": state or {"running": {}}}
    return {
        "metadata": {"name": name, "labels": labels, "creationTimestamp": made},
        "status": {"phase": "Pending" if "waiting" in state else "Running", "containerStatuses": [container]},
        "spec": {},
    }  # fmt: skip


def event(name: str, reason: str, message: str) -> Object:
    seen = NOW.isoformat()
    return {"involvedObject": {"name": name}, "reason": reason, "message": message, "lastTimestamp": seen}


def fault(of: Object, *pods: Object, events: tuple[Object, ...] = ()) -> Fault | None:
    return fault_of(of, pods, events, now=NOW, last_lines={})


ROLLED_OUT = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
READY = {
    "as many as are wanted": server(**ROLLED_OUT),
    "one, where no number is said": server(wanted=None, replicas=1, updatedReplicas=1, availableReplicas=1),
    "none of none": server("StatefulSet", wanted=0, replicas=0, availableReplicas=0),
    "old pods stay till someone takes them": server("StatefulSet", wanted=1, replicas=1, readyReplicas=1)
    | {"spec": {"replicas": 1, "updateStrategy": {"type": "OnDelete"}}},
}
UNREADY = {
    "no status yet": server() | {"status": {}},
    "a change that is not taken up": server(observedGeneration=2, **ROLLED_OUT),
    "one too few": server(**ROLLED_OUT | {"availableReplicas": 1}),
    "old ones that are available": server(replicas=3, updatedReplicas=1, availableReplicas=2),
    "old ones beside new ones": server(replicas=3, updatedReplicas=2, availableReplicas=2),
}


@pytest.mark.parametrize("ready", READY.values(), ids=READY)
def test_server_is_ready_with(ready: Object) -> None:
    assert is_ready(ready)
    assert fault(ready, pod()) is None


@pytest.mark.parametrize("unready", UNREADY.values(), ids=UNREADY)
def test_server_is_not_ready_with(unready: Object) -> None:
    assert not is_ready(unready)


def test_pod_that_runs_and_is_not_ready_is_said_with_its_probe_after_a_while() -> None:
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


def test_pods_that_cannot_be_made_are_said() -> None:
    failing = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    assert fault(server(conditions=[failing])) == Fault("its pods cannot be made: exceeded quota")
    refused = event("api", "FailedCreate", "violates PodSecurity")
    assert fault(server("StatefulSet"), events=(refused,)) == Fault("its pods cannot be made: violates PodSecurity")
