"""What is wrong with an application, from the objects of the cluster alone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from wattcast.deploy.cluster.application_faults import application_fault, submission_error
from wattcast.deploy.cluster.pod_faults import Fault

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Object = dict[str, Any]

FORBIDDEN = """failed to submit spark application: failed to run spark-submit: 26/03/01 12:00:00 INFO SparkKubernetesClientFactory
Exception in thread "main" io.fabric8.kubernetes.client.KubernetesClientException: Failure executing: POST at: \
https://10.96.0.1/apis/networking.k8s.io/v1/namespaces/wattcast/networkpolicies. Message: networkpolicies.networking.k8s.io \
is forbidden: User "system:serviceaccount:spark-operator:spark-operator-controller" cannot create resource \
"networkpolicies". Received status: Status(apiVersion=v1, code=403)
\tat io.fabric8.kubernetes.client.KubernetesClientException.copyAsCause(KubernetesClientException.java:238)"""


def application(state: str = "", *, error: str = "", seconds_old: float = 300) -> Object:
    created = (NOW - timedelta(seconds=seconds_old)).isoformat().replace("+00:00", "Z")
    status = {"applicationState": {"state": state, "errorMessage": error}} if state else {}
    metadata = {"name": "ingest", "namespace": "wattcast", "creationTimestamp": created}
    return {"metadata": metadata, "spec": {}, "status": status}


def pod(
    role: str = "driver",
    *,
    phase: str = "Pending",
    waiting: Object | None = None,
    terminated: Object | None = None,
    unscheduled: str = "",
    seconds_old: float = 60,
    **metadata: str,
) -> Object:
    name = {"driver": "ingest-driver", "executor": "ingest-exec-1"}[role]
    container = f"spark-kubernetes-{role}"
    state = {"waiting": waiting} if waiting else {"terminated": terminated} if terminated else {"running": {}}
    created = (NOW - timedelta(seconds=seconds_old)).isoformat()
    return {
        "metadata": {"name": name, "labels": {"spark-role": role}, "creationTimestamp": created, **metadata},
        "spec": {"containers": [{"name": container, "resources": {"limits": {"memory": "1536Mi"}}}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "PodScheduled", "status": "False", "message": unscheduled}] if unscheduled else [],
            "containerStatuses": [] if unscheduled else [{"name": container, "image": "wattcast:9", "state": state}],
        },
    }


def event(name: str, reason: str, message: str, *, minutes_ago: float = 1) -> Object:
    seen = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return {"involvedObject": {"name": name}, "reason": reason, "message": message, "lastTimestamp": seen}


def fault(
    state: str, pods: Sequence[Object] = (), events: Sequence[Object] = (), lines: Mapping[str, str] | None = None
) -> Fault | None:
    return application_fault(application(state), pods, events, now=NOW, last_lines=lines)


POD_FAULTS = {
    "image not found": (
        pod(waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "wattcast:9"'}),
        'the image wattcast:9 of ingest-driver cannot be pulled: Back-off pulling image "wattcast:9"',
        True,
    ),
    "image never pulled": (
        pod(waiting={"reason": "ErrImageNeverPull"}),
        "the image wattcast:9 of ingest-driver cannot be pulled: it is not on the node, and imagePullPolicy is Never",
        True,
    ),
    "secret missing": (
        pod(waiting={"reason": "CreateContainerConfigError", "message": 'secret "kafka-creds" not found'}),
        "the Secret kafka-creds that ingest-driver refers to is missing",
        True,
    ),
    "key of a secret missing": (
        pod(waiting={"reason": "CreateContainerConfigError", "message": "couldn't find key a in Secret w/x"}),
        "ingest-driver cannot be started: couldn't find key a in Secret w/x",
        True,
    ),
    "out of memory": (
        pod(phase="Failed", terminated={"exitCode": 137, "reason": "OOMKilled"}),
        "ingest-driver ran out of memory and was killed: its limit is 1536Mi",
        False,
    ),
    "killed": (
        pod("executor", phase="Failed", terminated={"exitCode": 137, "reason": "Error"}),
        "ingest-exec-1 was killed (exit code 137): it ran out of memory, or its stop took too long",
        False,
    ),
    "no room": (
        pod(unscheduled="0/3 nodes are available: 3 Insufficient memory."),
        "ingest-driver is pending: no node has room for it (0/3 nodes are available: 3 Insufficient memory)",
        False,
    ),
    "claim not bound": (
        pod(unscheduled="0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
        "ingest-driver waits for its PersistentVolumeClaim: no volume is bound to it; check the storage class",
        False,
    ),
    "claim missing": (
        pod(unscheduled='0/1 nodes are available: persistentvolumeclaim "wattcast-state" not found.'),
        "the PersistentVolumeClaim wattcast-state that ingest-driver refers to is missing",
        True,
    ),
}


@pytest.mark.parametrize(("pod", "message", "is_final"), POD_FAULTS.values(), ids=POD_FAULTS)
def test_fault_of_a_pod_has_a_message(pod: Object, message: str, is_final: bool) -> None:
    assert fault("SUBMITTED", [pod]) == Fault(message, is_final)


def test_fault_of_a_crash_has_the_last_line_of_the_log() -> None:
    crashed = pod(phase="Failed", terminated={"exitCode": 1, "reason": "Error"})
    lines = {"ingest-driver": "No broker answers at kafka:9092."}
    assert fault("FAILING", [crashed], lines=lines) == Fault(
        "ingest-driver ended with exit code 1: No broker answers at kafka:9092."
    )


def test_config_map_that_cannot_be_mounted_is_named() -> None:
    mount = event(
        "ingest-driver",
        "FailedMount",
        'MountVolume.SetUp failed for volume "conf" : configmap "wattcast-conf" not found',
    )
    waiting = pod(waiting={"reason": "ContainerCreating"})
    assert fault("SUBMITTED", [waiting], [mount]) == Fault(
        "the ConfigMap wattcast-conf that ingest-driver refers to is missing", is_final=True
    )
    assert fault("SUBMITTED", [waiting], [event("another-driver", "FailedMount", mount["message"])]) is None
    young = pod(waiting={"reason": "ContainerCreating"}, seconds_old=5)  # Spark may not have made its own yet
    assert fault("SUBMITTED", [young], [mount]) is None


def test_driver_comes_before_its_executors() -> None:
    broken = [pod("executor", phase="Failed", terminated={"exitCode": 1}), pod(waiting={"reason": "ErrImageNeverPull"})]
    found = fault("RUNNING", broken)
    assert found is not None
    assert "ingest-driver" in found.message


def test_application_that_runs_has_no_fault() -> None:
    assert fault("RUNNING", [pod(phase="Running"), pod("executor", phase="Running")]) is None


@pytest.mark.parametrize("state", ["COMPLETED", "SUSPENDING", "SUSPENDED"])
def test_pods_of_an_ended_or_stopped_application_are_no_fault(state: str) -> None:
    assert fault(state, [pod("executor", phase="Failed", terminated={"exitCode": 143})]) is None


def test_pod_that_is_being_deleted_is_no_fault() -> None:
    assert (
        fault("PENDING_RERUN", [pod(waiting={"reason": "ErrImagePull"}, deletionTimestamp="2026-03-01T11:59:00Z")])
        is None
    )


def test_executor_that_ran_out_of_memory_is_named_while_it_is_fresh() -> None:
    message = "Executor ingest-exec-7 failed with ExitCode: 137, Reason: OOMKilled, Pod Message: "
    fresh, old = (event("ingest", "SparkExecutorFailed", message, minutes_ago=minutes) for minutes in (3, 90))
    assert fault("RUNNING", [], [old]) is None
    assert fault("RUNNING", [], [old, fresh]) == Fault("ingest-exec-7 ran out of memory and was killed 3 min ago")


def test_driver_that_ran_out_of_memory_is_named_when_its_pod_is_gone() -> None:
    failed = application("FAILED", error="driver container failed with ExitCode: 137, Reason: OOMKilled")
    assert application_fault(failed, [], [], now=NOW) == Fault(
        "the application failed: the driver ran out of memory and was killed", is_final=True
    )


def test_missing_permission_of_the_operator_has_the_message_of_the_api_server() -> None:
    reason = (
        'networkpolicies.networking.k8s.io is forbidden: User "system:serviceaccount:spark-operator:spark-operator-controller"'
        ' cannot create resource "networkpolicies"'
    )
    refused = application("SUBMISSION_FAILED", error=FORBIDDEN)
    assert application_fault(refused, [], [], now=NOW) == Fault(f"the submission failed: {reason}", is_final=True)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("failed to submit: driver pod already exist", "failed to submit: driver pod already exist"),
        ("x\nException in thread \"main\" java.io.IOException: no space\n\tat a.b", "no space"),
        ("x\nException in thread \"main\" a.B: c\n\tat a.b\nCaused by: d.E: the inner one.\n\tat a.b", "the inner one"),
        ("", "the operator gives no reason"),
    ],
)  # fmt: skip
def test_reason_of_a_failed_submission_comes_from_its_output(message: str, reason: str) -> None:
    assert submission_error(message) == reason


def test_application_without_a_state_for_a_minute_has_no_operator() -> None:
    assert application_fault(application(seconds_old=30), [], [], now=NOW) is None
    found = application_fault(application(seconds_old=90), [], [], now=NOW)
    assert found is not None
    assert found.is_final
    assert "watches the namespace wattcast" in found.message


def test_invalid_schedule_is_a_fault() -> None:
    scheduled = {
        "metadata": {"name": "train"}, "spec": {"schedule": "* *"},
        "status": {"scheduleState": "FailedValidation", "reason": "expected exactly 5 fields"},
    }  # fmt: skip
    assert application_fault(scheduled, [], [], now=NOW) == Fault(
        "its schedule is not valid: expected exactly 5 fields", is_final=True
    )
