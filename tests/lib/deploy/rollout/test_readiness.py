"""When an application counts as running, and when waiting for it is given up."""

from datetime import UTC, datetime, timedelta
from typing import Any

from wattcast.deploy.cluster.application_status import ApplicationStatus
from wattcast.deploy.cluster.pod_faults import Fault
from wattcast.deploy.rollout.readiness import MAX_FAILED_STARTS, StartTracker


def pod(role: str, *, seconds: float | None, **metadata: str) -> dict[str, Any]:
    """A pod that has run for so long, or waits."""
    began = (datetime.now(UTC) - timedelta(seconds=seconds or 0)).isoformat()
    state = {"waiting": {}} if seconds is None else {"running": {"startedAt": began}}
    labels = {"spark-role": role}
    return {
        "metadata": {"name": role, "labels": labels, **metadata},
        "status": {"containerStatuses": [{"state": state}]},
    }


def status(
    state: str, *pods: dict[str, Any], submission: str = "new", fault: Fault | None = None, **spec: Any
) -> ApplicationStatus:
    reported = {"submissionID": submission, "applicationState": {"state": state}}
    return ApplicationStatus({"metadata": {"name": "ingest"}, "spec": spec, "status": reported}, pods, fault)


def tracker(settle: float = 30, **replaced: str | None) -> StartTracker:
    return StartTracker(settle, replaced)


DRIVER, EXECUTOR = pod("driver", seconds=40), pod("executor", seconds=35)


def test_application_is_there_when_driver_and_executor_have_run_for_a_while() -> None:
    assert tracker().is_running(status("RUNNING", DRIVER, EXECUTOR))
    assert not tracker().is_running(status("SUBMITTED", DRIVER, EXECUTOR))
    assert not tracker().is_running(status("RUNNING", pod("driver", seconds=20), EXECUTOR))


def test_driver_without_an_executor_is_not_at_work() -> None:
    assert not tracker().is_running(status("RUNNING", DRIVER))
    assert not tracker().is_running(status("RUNNING", DRIVER, pod("executor", seconds=None)))
    assert not tracker().is_running(status("RUNNING", DRIVER, pod("executor", seconds=20)))
    assert not tracker().is_running(status("RUNNING", DRIVER, pod("executor", seconds=35, deletionTimestamp="now")))


def test_driver_whose_executors_come_with_their_work_is_at_work_alone() -> None:
    assert tracker().is_running(status("RUNNING", DRIVER, dynamicAllocation={"enabled": True}))
    assert tracker().is_running(status("RUNNING", DRIVER, sparkConf={"spark.dynamicAllocation.enabled": "true"}))


def test_without_a_time_to_settle_the_word_of_the_operator_is_enough() -> None:
    assert tracker(0).is_running(status("RUNNING"))


def test_what_is_to_be_replaced_does_not_count() -> None:
    assert not tracker(ingest="old").is_running(status("RUNNING", DRIVER, EXECUTOR, submission="old"))
    assert tracker(ingest="old").is_running(status("RUNNING", DRIVER, EXECUTOR, submission="new"))
    assert not tracker(ingest="old").is_lost(status("FAILED", submission="old", fault=Fault("bad", is_final=True)))
    assert tracker(ingest=None).is_lost(status("", submission="", fault=Fault("no operator", is_final=True)))


def test_new_application_whose_driver_ends_again_and_again_is_given_up() -> None:
    new = tracker(ingest=None)
    lost = [
        new.is_lost(status("FAILING", submission=str(number))) for number in range(MAX_FAILED_STARTS) for _ in range(3)
    ]
    assert lost == [False] * 3 * (MAX_FAILED_STARTS - 1) + [True] * 3


def test_application_that_was_not_begun_now_is_not_given_up_for_how_often_it_has_ended() -> None:
    others = tracker()
    assert not any(others.is_lost(status("FAILING", submission=str(number))) for number in range(MAX_FAILED_STARTS + 1))
