"""A process that has lost its locks ends at once."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

LOSE_THE_LEASE = """
from wattcast.lake.halt import end_process, halt_jvm
from wattcast.runtime.session import spark_session
from wattcast.settings import settings

spark = spark_session(settings(), name="halt")
print(spark._jvm.java.lang.ProcessHandle.current().pid(), flush=True)
end_process("The Lease is lost.", halt=lambda: halt_jvm(spark))
"""


def test_a_process_that_loses_its_locks_ends_at_once_together_with_its_jvm(tmp_path: Path) -> None:
    environment = os.environ | {"WATTCAST_STATE": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", LOSE_THE_LEASE], env=environment, capture_output=True, text=True, timeout=300
    )
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (1, "The Lease is lost.")
    with suppress(psutil.NoSuchProcess):
        assert psutil.Process(int(ended.stdout)).status() == psutil.STATUS_ZOMBIE
