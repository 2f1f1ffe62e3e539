"""An error that a user can fix ends a program with its message; a bug keeps its traceback."""

import importlib

import pytest
from kafka.errors import KafkaTimeoutError
from py4j.protocol import Py4JError
from pydantic import ValidationError

from wattcast.broker import BrokerUnreachable, TopicRecreated
from wattcast.embedded.kafka_server import BrokerFailed
from wattcast.errors import LIBRARY_STATUS, exit_on_user_error, message
from wattcast.settings import Settings


@pytest.mark.parametrize(
    ("error", "status"),
    [(TopicRecreated("It is new."), 1), (BrokerFailed("It fell."), 1), (BrokerUnreachable("It is away."), 1)],
)
def test_user_error_ends_the_program_with_its_message(
    error: Exception, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_user_error():
        raise error
    assert (ended.value.code, capsys.readouterr().err) == (status, f"{error}\n")


def test_file_without_permission_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_user_error():
        raise PermissionError(13, "Permission denied", "keys.json")
    assert (ended.value.code, capsys.readouterr().err) == (1, "keys.json: Permission denied.\n")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(28, "No space left on device", "part-0"), "part-0: there is no space left on the disk: free some"),
        (KafkaTimeoutError("30 s"), "The Kafka broker did not answer in time: check that it runs"),
        (Py4JError("java.lang.OutOfMemoryError: Java heap space"), "The memory is not enough: lower batch."),
    ],
)
def test_error_of_a_library_with_a_known_cause_ends_the_program_with_the_remedy(
    error: Exception, text: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="wattcast")
    with pytest.raises(SystemExit) as ended, exit_on_user_error():
        raise error
    printed = capsys.readouterr().err
    assert (ended.value.code, len(printed.splitlines())) == (1, 1)
    assert text in printed
    assert caplog.records[-1].exc_info is not None


def test_interrupt_ends_the_program_with_130_and_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, exit_on_user_error():
        raise KeyboardInterrupt
    assert (ended.value.code, capsys.readouterr().err) == (130, "")


def test_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), exit_on_user_error():
        raise ZeroDivisionError


def test_each_wrong_setting_is_a_line() -> None:
    with pytest.raises(ValidationError) as error:
        Settings(kafka={"partitions": 0}, batch={"trigger_seconds": -1})  # type: ignore[arg-type]
    assert message(error.value).splitlines() == [
        "Setting kafka.partitions: Input should be greater than 0.",
        "Setting batch.trigger_seconds: Input should be greater than or equal to 0.",
    ]


USER_ERRORS = {
    "wattcast.embedded.preflight.Unsupported": 2,
    "wattcast.embedded.jars.JarsUnavailable": 1,
    "wattcast.embedded.broker_files.BrokerFailed": 1,
    "wattcast.broker.BrokerUnreachable": 1,
    "wattcast.broker.TopicRecreated": 1,
    "wattcast.ports.PortTaken": 1,
    "wattcast.ports.HostUnknown": 2,
    "wattcast.times.TimeRefused": 2,
    "wattcast.local.simulation.simulator.SimulationError": 2,
    "wattcast.meter_files.refusals.FileRefused": 2,
    "wattcast.meter_files.refusals.Ambiguous": 2,
    "wattcast.local.replay.replay.OtherReplayError": 2,
    "wattcast.lake.locks.TableHasAWriter": 1,
    "wattcast.lake.locks.LeasesUnavailable": 1,
    "wattcast.lake.locks.UnsafeLake": 2,
    "wattcast.lake.checkpoints.CheckpointUnusable": 1,
    "wattcast.lake.delta_log.TableDamaged": 1,
    "wattcast.ingest.buildings.MetadataError": 2,
    "wattcast.settings.SettingsMissing": 2,
    "wattcast.serving.security.keys.ApiKeyError": 2,
    "wattcast.serving.server.UnprotectedAddress": 2,
    "wattcast.runtime.supervision.QueryFailed": 1,
    "wattcast.deploy.errors.Refused": 2,
    "wattcast.deploy.errors.Failed": 1,
}


@pytest.mark.parametrize(("name", "status"), USER_ERRORS.items())
def test_error_of_wattcast_declares_its_exit_status(name: str, status: int) -> None:
    module, _, class_name = name.rpartition(".")
    error = getattr(importlib.import_module(module), class_name)
    assert (issubclass(error, Exception), error.exit_status) == (True, status)


@pytest.mark.parametrize(("module", "name"), sorted(LIBRARY_STATUS))
def test_error_of_a_library_exists(module: str, name: str) -> None:
    assert issubclass(getattr(importlib.import_module(module), name), Exception)
