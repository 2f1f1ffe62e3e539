"""The line about incubator modules does not reach the user; everything else that Java prints does."""

import subprocess
import sys

WARNING = "WARNING: Using incubator modules: jdk.incubator.vector"
PROGRAM = f"""
import subprocess, sys
from wattcast.runtime.java_output import without_module_warning
java = "import sys; sys.stdin.readline(); print('{WARNING}', 'an error', sep=chr(10), file=sys.stderr)"
with without_module_warning():
    child = subprocess.Popen([sys.executable, "-c", java], stdin=subprocess.PIPE)
    print("inside", file=sys.stderr, flush=True)
print("outside", file=sys.stderr, flush=True)
child.communicate(b"go")
import threading
for thread in threading.enumerate():
    if thread.name == "java-output":
        thread.join(60)
"""


def test_child_prints_on_stderr_also_after_the_block_but_for_the_warning() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stderr.splitlines()) == ["an error", "inside", "outside"]
