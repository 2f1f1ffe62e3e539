"""What programs write of themselves: lines for a person or, by `log.format`, JSON lines for whoever collects them."""

import json
import logging
import os
import sys
import traceback
from datetime import UTC, datetime

from wattcast.settings import settings

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
        if record.exc_info and (error := record.exc_info[1]) is not None:
            told = "".join(traceback.format_exception(error))
            line["exception"] = {"class": type(error).__name__, "msg": str(error), "stacktrace": told}
        return json.dumps(line, ensure_ascii=False)


def configure_logging() -> None:
    """Warnings of all libraries and whatever Wattcast says go to the standard error, in the format of the settings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings().log.format == "json" else logging.Formatter(LINE))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("kafka").setLevel(logging.ERROR)  # it warns of every moment for which the machine was busy
    logging.getLogger("wattcast").setLevel(os.environ.get("WATTCAST_LOG_LEVEL", "INFO"))
