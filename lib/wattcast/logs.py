"""The log of a program: text lines or, by the setting `log.format`, JSON lines for a log collector."""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path

from wattcast.settings import settings

log = logging.getLogger("wattcast")

MAX_DETAILS_BYTES = 5_000_000
AUDIT_LOGGER, AUDIT_FIELD = "wattcast.audit", "audit"
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class JsonLines(logging.Formatter):
    """A record as one line of JSON, with the keys of Spark's structured log: ts, level, msg, logger, exception."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {
            "ts": at,
            "level": record.levelname,
            "msg": record.getMessage(),
            "logger": record.name,
        }
        if entry := getattr(record, AUDIT_FIELD, None):  # an object for the collector, not a text in JSON
            line |= {"msg": "audit", AUDIT_FIELD: json.loads(entry)}
        if record.exc_info and (error := record.exc_info[1]) is not None:
            stacktrace = "".join(traceback.format_exception(error))
            line["exception"] = {"class": type(error).__name__, "msg": str(error), "stacktrace": stacktrace}
        return json.dumps(line, ensure_ascii=False)


def configure_logging() -> None:
    """Log warnings of all libraries, and Wattcast from INFO on, to the standard error in the format of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings().log.format == "json" else logging.Formatter(LINE))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # it warns whenever the machine is busy for a moment
    logging.getLogger("wattcast").setLevel(os.environ.get("WATTCAST_LOG_LEVEL", "INFO"))
    logging.getLogger(AUDIT_LOGGER).setLevel(logging.INFO)  # no setting silences it


def log_failure(text: str, error: BaseException) -> None:
    """Log why a job ends. The stack trace goes into the line of JSON, or, for text, into a file of the state folder, which the
    line names."""
    if settings().log.format == "json":
        log.error("%s", text, exc_info=error)
        return
    file = _details_file(error)
    log.error("%s%s", text, f" Details: {file}" if file else "")


def _details_file(error: BaseException) -> Path | None:
    """The file to which the stack trace was appended; None where it cannot be written, as on a full disk."""
    file = settings().state.resolve() / "logs" / "errors.log"
    trace = "".join(traceback.format_exception(error))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and file.stat().st_size > MAX_DETAILS_BYTES:
            file.replace(file.with_name("errors-1.log"))
        with file.open("a", encoding="utf-8") as details:
            details.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {trace}\n")
    except OSError:
        log.debug("The details of the failure:", exc_info=error)
        return None
    return file
