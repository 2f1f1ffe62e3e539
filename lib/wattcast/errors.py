"""Errors that a user can fix: a program that raises one ends with its message and an exit status, without a traceback.

A class of Wattcast is such an error when it has an attribute `exit_status`, so this module imports none of them.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from wattcast.causes import explanation, known_cause

log = logging.getLogger("wattcast")

INTERRUPTED = 130  # as shells report Ctrl-C
FAILED, REFUSED = 1, 2  # it was tried without success; the command, a setting or the input is wrong

# Errors of libraries, by module and class. By name, since an error that was raised has its module imported already, and the help
# of the command line must import none of them.
LIBRARY_STATUS = {
    ("pydantic_settings.exceptions", "SettingsError"): REFUSED,
    ("pydantic_core", "ValidationError"): REFUSED,
    ("yaml", "YAMLError"): REFUSED,
    ("builtins", "PermissionError"): FAILED,
}

LIBRARIES = {"pyspark", "py4j", "kafka", "pyarrow", "deltalake", "_internal"}


@contextmanager
def exit_on_user_error() -> Iterator[None]:
    """Run a program. An error that a user can fix ends it with the message on stderr, and one with a known cause with that; any
    other is a bug with its traceback. The log has the details at the level DEBUG. Ctrl-C ends it with the status 130."""
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:  # of any type: its own attribute or its cause decides, and a bug is raised again
        status = exit_status(error)
        if status is None:
            raise
        log.debug("The program ends with an error.", exc_info=error)
        print(message(error), file=sys.stderr)
        sys.exit(status)


def exit_status(error: Exception) -> int | None:
    """The exit status of a program that ends with this error; None for a bug."""
    status: int | None = getattr(error, "exit_status", None)
    if status is not None:
        return status
    for (module, name), library_status in LIBRARY_STATUS.items():
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name)):
            return library_status
    return FAILED if is_of_library(error) and known_cause(error) else None


def is_of_library(error: Exception) -> bool:
    """Whether an error comes from the system or from a library that reaches other systems, and so may have a known cause."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in LIBRARIES


def message(error: Exception) -> str:
    """The text for a user: a line for each wrong setting, the name of a file and the reason, else the message of the error."""
    if exit_status(error) == FAILED and is_of_library(error) and known_cause(error):
        name = getattr(error, "filename", None)
        return f"{name}: {explanation(error)}." if name else sentence(explanation(error))
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    if not hasattr(error, "errors"):
        return str(error)
    return "\n".join(f"Setting {'.'.join(map(str, wrong['loc']))}: {wrong['msg']}." for wrong in error.errors())


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def refuse(message: str) -> NoReturn:
    """End the program with a message: its command, a setting or its input is wrong."""
    print(message, file=sys.stderr)
    sys.exit(REFUSED)
