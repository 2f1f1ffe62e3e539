"""Ends this process and its JVM at once, for a process that has lost its locks: another may write the tables by now."""

import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from wattcast.errors import FAILED

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

HALT_SECONDS = 2


def end_process(reason: str, *, halt: Callable[[], None] | None = None) -> None:
    """Print the reason and exit with failure, without closing anything. `halt` runs first, for at most HALT_SECONDS."""
    print(reason, file=sys.stderr, flush=True)
    if halt:
        halting = threading.Thread(target=halt, daemon=True)
        halting.start()
        halting.join(timeout=HALT_SECONDS)
    os._exit(FAILED)


def halt_jvm(spark: "SparkSession") -> None:
    """Halt the JVM of a session at once, so that it commits no batch that it is processing."""
    from py4j.protocol import Py4JError

    logging.disable(
        logging.CRITICAL
    )  # py4j logs, by several loggers, that the JVM does not answer; the reason is printed
    jvm: Any = spark._jvm
    with suppress(Py4JError, OSError):  # the JVM is gone before it answers
        jvm.java.lang.Runtime.getRuntime().halt(FAILED)
