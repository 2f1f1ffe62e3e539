"""What Java prints on the standard error of this process, without the line with which it greets Spark's modules."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
OMITTED = b"WARNING: Using incubator modules: "  # printed by Java 17 and newer; no option of Java turns it off


@contextmanager
def without_module_warning() -> Iterator[None]:
    """A program that is started inside the block prints on the standard error of this process as long as it runs, but for that
    line."""
    original = os.dup(STDERR)
    reader, writer = os.pipe()
    threading.Thread(target=_forward, args=(reader, os.dup(original)), name="java-output", daemon=True).start()
    os.dup2(writer, STDERR)
    os.close(writer)
    try:
        yield
    finally:
        os.dup2(original, STDERR)
        os.close(original)


def _forward(reader: int, target: int) -> None:
    """Copy lines from one file descriptor to another until no process has the other end open."""
    with open(reader, "rb") as lines, open(target, "wb", buffering=0) as output:
        for line in lines:
            if not line.startswith(OMITTED):
                output.write(line)
