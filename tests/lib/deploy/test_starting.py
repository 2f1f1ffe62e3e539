"""What counts as an application that is at work, and when it is given up."""

from datetime import UTC, datetime, timedelta
from typing import Any

from wattcast.deploy.diagnosis import Fault
from wattcast.deploy.starting import STARTS, _Starts
from wattcast.deploy.watching import Standing


def pod(role: str, *, seconds: float | None, **metadata: str) -> dict[str, Any]:
    """A pod that has run for so long, or waits."""
    began = (datetime.now(UTC) - timedelta(seconds=seconds or 0)).isoformat()
    state = {"waiting": {}} if seconds is None else {"running": {"startedAt": began}}
    labels = {"spark-role": role}
    return {
        "metadata": {"name": role, "labels": labels, **metadata},
        "status": {"containerStatuses": [{"state": state}]},
    }


def standing(
    state: str, *pods: dict[str, Any], submission: str = "new", fault: Fault | None = None, **spec: Any
) -> Standing:
    status = {"submissionID": submission, "applicationState": {"state": state}}
    return Standing({"metadata": {"name": "ingest"}, "spec": spec, "status": status}, pods, fault)


def starts(settle: float = 30, **replaced: str | None) -> _Starts:
    return _Starts(settle, replaced)


DRIVER, EXECUTOR = pod("driver", seconds=40), pod("executor", seconds=35)


def test_application_is_there_when_driver_and_executor_have_run_for_a_while() -> None:
    assert starts().is_there(standing("RUNNING", DRIVER, EXECUTOR))
    assert not starts().is_there(standing("SUBMITTED", DRIVER, EXECUTOR))
    assert not starts().is_there(standing("RUNNING", pod("driver", seconds=20), EXECUTOR))


def test_driver_without_an_executor_is_not_at_work() -> None:
    assert not starts().is_there(standing("RUNNING", DRIVER))
    assert not starts().is_there(standing("RUNNING", DRIVER, pod("executor", seconds=None)))
    assert not starts().is_there(standing("RUNNING", DRIVER, pod("executor", seconds=20)))
    assert not starts().is_there(standing("RUNNING", DRIVER, pod("executor", seconds=35, deletionTimestamp="now")))


def test_driver_whose_executors_come_with_their_work_is_at_work_alone() -> None:
    assert starts().is_there(standing("RUNNING", DRIVER, dynamicAllocation={"enabled": True}))
    assert starts().is_there(standing("RUNNING", DRIVER, sparkConf={"spark.dynamicAllocation.enabled": "true"}))


def test_without_a_time_to_settle_the_word_of_the_operator_is_enough() -> None:
    assert starts(0).is_there(standing("RUNNING"))


def test_what_is_to_be_replaced_does_not_count() -> None:
    assert not starts(ingest="old").is_there(standing("RUNNING", DRIVER, EXECUTOR, submission="old"))
    assert starts(ingest="old").is_there(standing("RUNNING", DRIVER, EXECUTOR, submission="new"))
    assert not starts(ingest="old").is_lost(standing("FAILED", submission="old", fault=Fault("bad", is_final=True)))
    assert starts(ingest=None).is_lost(standing("", submission="", fault=Fault("no operator", is_final=True)))


def test_new_application_whose_driver_ends_again_and_again_is_given_up() -> None:
    begun = starts(ingest=None)
    lost = [begun.is_lost(standing("FAILING", submission=str(each))) for each in range(STARTS) for _ in range(3)]
    assert lost == [False] * 3 * (STARTS - 1) + [True] * 3


def test_application_that_was_not_begun_now_is_not_given_up_for_how_often_it_has_ended() -> None:
    others = starts()
    assert not any(others.is_lost(standing("FAILING", submission=str(each))) for each in range(STARTS + 1))
