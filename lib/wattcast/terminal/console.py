"""Output to the terminal: values are shown literally, and nothing is cut off in a file or pipe."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.text import Text

UNLIMITED_WIDTH = 1_000_000  # columns
STDOUT, STDERR = 1, 2
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def plain(value: object) -> Text:
    """The text of a cell, without rich's markup and with control characters as visible escapes. None is empty."""
    return Text("" if value is None else CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", str(value)))


def show(output: RenderableType) -> None:
    """Print in the width of the terminal; in its full width where the output goes into a file or another program."""
    Console(width=None if sys.stdout.isatty() else UNLIMITED_WIDTH).print(output)


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send everything that this process and its JVM print to the standard error inside the block."""
    sys.stdout.flush()
    output = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        yield
    finally:
        os.dup2(output, STDOUT)
        os.close(output)
