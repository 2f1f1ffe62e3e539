"""The systemd unit in conf/systemd is valid, and starts a command that exists."""

import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest
from tests.documentation import ROOT, check

from wattcast.cli.jobs import JOBS

UNIT = ROOT / "conf/systemd/wattcast@.service"
PROGRAM = "/usr/local/bin/wattcast"


def service() -> dict[str, str]:
    parser = RawConfigParser(comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # the names keep their case
    parser.read_string(UNIT.read_text(encoding="utf-8"))
    return dict(parser["Service"])


@pytest.mark.parametrize("job", [job for job in JOBS if job != "backfill"])
def test_command_of_the_unit_exists_for_every_job_that_runs_on(job: str) -> None:
    program, *words = service()["ExecStart"].replace("%i", job).split()
    assert program == PROGRAM
    check(words)


def test_unit_stops_a_job_between_two_batches_and_restarts_it_after_a_failure_only() -> None:
    options = service()
    assert (options["KillSignal"], options["KillMode"], options["Restart"]) == ("SIGTERM", "mixed", "on-failure")
    assert options["RestartPreventExitStatus"] == "2"
    assert int(options["TimeoutStopSec"]) > 600
    assert {"MemoryHigh", "MemoryMax"} <= set(options)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "wattcast@pipeline.service"
    program = str(Path(sys.executable).with_name("wattcast"))
    unit.write_text(UNIT.read_text(encoding="utf-8").replace(PROGRAM, program), encoding="utf-8")
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
