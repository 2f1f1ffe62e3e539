"""Logs as JSON lines, with the keys of Spark's own."""

import json
import os
import subprocess
import sys

SAYS = """
import logging
from wattcast.logs import configure_logging
configure_logging()
log = logging.getLogger("wattcast.jobs")
log.info("two\\nlines of %s", "Gebäude 9")
logging.getLogger("other").info("nobody wants to know")
try:
    raise ValueError("no number")
except ValueError:
    log.exception("it failed")
"""


def said(program: str = SAYS, **variables: str) -> list[str]:
    environment = {key: value for key, value in os.environ.items() if key != "WATTCAST_LOG__FORMAT"} | variables
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr.splitlines()


def test_each_record_is_one_object_on_one_line() -> None:
    first, second = (json.loads(line) for line in said(WATTCAST_LOG__FORMAT="json"))
    assert (first["level"], first["logger"], first["msg"]) == ("INFO", "wattcast.jobs", "two\nlines of Gebäude 9")
    assert first["ts"].endswith("Z")
    assert second["exception"]["class"] == "ValueError"
    assert second["exception"]["msg"] == "no number"
    assert "Traceback" in second["exception"]["stacktrace"]


def test_by_default_lines_are_for_a_person() -> None:
    lines = said()
    assert lines[0].endswith("INFO wattcast.jobs: two")
    assert "Traceback (most recent call last):" in lines


def test_audit_line_is_an_object_and_no_level_silences_it() -> None:
    says = (
        SAYS.partition("log =")[0]
        + 'logging.getLogger("wattcast.audit").info("%s", "{}", extra={"audit": \'{"rows": 1}\'})'
    )
    (line,) = said(says, WATTCAST_LOG__FORMAT="json", WATTCAST_LOG_LEVEL="ERROR")
    assert (json.loads(line)["logger"], json.loads(line)["audit"]) == ("wattcast.audit", {"rows": 1})
