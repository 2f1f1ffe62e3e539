"""Errors that a user can mend: at the edge of a program each becomes its message and an exit status, never a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

FAILED, REFUSED = 1, 2

# Exit status by where the class is defined. Named, not imported: what raised one has imported its module already, and the
# help of the command line imports none.
STATUS = {
    ("wattcast.local.embedded.preflight", "Unsupported"): REFUSED,
    ("wattcast.local.embedded.jars", "JarsUnavailable"): FAILED,
    ("wattcast.local.embedded.broker_files", "BrokerFailed"): FAILED,
    ("wattcast.broker", "BrokerUnreachable"): FAILED,
    ("wattcast.broker", "TopicRecreated"): FAILED,
    ("wattcast.ports", "PortTaken"): FAILED,
    ("wattcast.ports", "HostUnknown"): REFUSED,
    ("wattcast.times", "TimeRefused"): REFUSED,
    ("wattcast.local.simulation.simulator", "SimulationError"): REFUSED,
    ("wattcast.local.replay.recorded_files", "RecordingError"): REFUSED,
    ("wattcast.local.replay.replay", "OtherReplayError"): REFUSED,
    ("wattcast.locks", "TableHasAWriter"): FAILED,
    ("wattcast.locks", "LeasesUnavailable"): FAILED,
    ("wattcast.locks", "UnsafeLake"): REFUSED,
    ("wattcast.metadata", "MetadataError"): REFUSED,
    ("wattcast.settings", "SettingsMissing"): REFUSED,
    ("wattcast.serving.keys", "KeysError"): REFUSED,
    ("wattcast.serving.server", "Exposed"): REFUSED,
    ("wattcast.deploy.cluster", "Refused"): REFUSED,
    ("wattcast.deploy.cluster", "Failed"): FAILED,
    ("pydantic_settings.exceptions", "SettingsError"): REFUSED,
    ("pydantic_core", "ValidationError"): REFUSED,
    ("yaml", "YAMLError"): REFUSED,
    ("builtins", "PermissionError"): FAILED,
}


@contextmanager
def told() -> Iterator[None]:
    """Run a program; an error of STATUS ends it with the message on stderr. Any other is a bug and keeps its traceback."""
    try:
        yield
    except _imported() as error:
        print(message(error), file=sys.stderr)
        sys.exit(next(status for kind, status in _classes() if isinstance(error, kind)))


def message(error: Exception) -> str:
    """What to say of an error: of settings that are not valid a line each, of a file its name and the reason, else what the
    error says."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    if not hasattr(error, "errors"):
        return str(error)
    return "\n".join(f"Setting {'.'.join(map(str, each['loc']))}: {each['msg']}." for each in error.errors())


def refuse(message: str) -> NoReturn:
    """End the program with a sentence: it was given what it cannot take."""
    print(message, file=sys.stderr)
    sys.exit(REFUSED)


def _imported() -> tuple[type[Exception], ...]:
    return tuple(kind for kind, _ in _classes())


def _classes() -> Iterator[tuple[type[Exception], int]]:
    for (module, name), status in STATUS.items():
        if module in sys.modules:
            yield getattr(sys.modules[module], name), status
