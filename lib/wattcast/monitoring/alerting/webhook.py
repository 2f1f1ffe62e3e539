"""Delivery of alerts to a webhook: each change once, in order; changes that failed are sent again at the next evaluation."""

import json
import logging
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import requests
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wattcast.files import write_atomically

log = logging.getLogger("wattcast.monitoring.webhook")

MAX_CHANGES = 500  # in one request
MAX_MESSAGES = 20  # in the text for people
ORDER = ("created_at", "alert_id", "state")  # the order of delivery; unique for each change
PAYLOAD_FIELDS = (
    "alert_id",
    "state",
    "changed_at",
    "rule",
    "severity",
    "scope",
    "subject",
    "started_at",
    "value",
    "threshold",
    "message",
)


@dataclass(frozen=True)
class Webhook:
    """A URL that accepts {"text": ..., "alerts": [...]} by POST; an empty URL disables delivery. `cursor_file` has the last
    delivered change, in ORDER: all before it are delivered too."""

    url: str
    seconds: float
    cursor_file: Path

    def deliver(self, alerts: DataFrame) -> bool:
        """Send the new rows of the table `alerts`, at most MAX_CHANGES, within `seconds`; whether the webhook accepted them."""
        if not self.url:
            return True
        changes = self._undelivered(alerts)
        if not changes:
            return True
        accepted: list[bool] = []
        sending = threading.Thread(target=lambda: accepted.append(self._post(changes)), daemon=True)
        sending.start()
        sending.join(self.seconds)
        if not any(accepted):
            log.warning("The webhook did not accept %d changed alerts: they are sent again.", len(changes))
            return False
        self._write_cursor(changes[-1])
        return True

    def _undelivered(self, alerts: DataFrame) -> list[dict[str, Any]]:
        """The first MAX_CHANGES changes after the last delivered one; any number of changes can share its time."""
        cursor = self._read_cursor()
        if cursor is not None:
            delivered = F.struct(*(F.lit(value).alias(name) for name, value in zip(ORDER, cursor, strict=True)))
            alerts = alerts.where((F.col("created_at") >= F.lit(cursor[0])) & (F.struct(*ORDER) > delivered))
        return [row.asDict() for row in alerts.orderBy(*ORDER).limit(MAX_CHANGES).collect()]

    def _read_cursor(self) -> tuple[datetime, str, str] | None:
        """The last delivered change, by ORDER."""
        if not self.cursor_file.is_file():
            return None
        try:
            cursor = json.loads(self.cursor_file.read_text(encoding="utf-8"))
            return datetime.fromisoformat(cursor["created_at"]), str(cursor["alert_id"]), str(cursor["state"])
        except (ValueError, KeyError, TypeError):
            log.warning("%s cannot be read: all changed alerts are sent again.", self.cursor_file.name)
            return None

    def _write_cursor(self, change: dict[str, Any]) -> None:
        """Replace the file atomically."""
        cursor = {
            "created_at": change["created_at"].isoformat(),
            "alert_id": change["alert_id"],
            "state": change["state"],
        }
        write_atomically(self.cursor_file, json.dumps(cursor))

    def _post(self, changes: list[dict[str, Any]]) -> bool:
        alerts = [{name: _json_value(change[name]) for name in PAYLOAD_FIELDS} for change in changes]
        text = "\n".join(f"{change['state']}: {change['message']}" for change in changes[:MAX_MESSAGES])
        try:
            with requests.post(
                self.url,
                json={"text": text, "alerts": alerts},
                timeout=self.seconds,
                allow_redirects=False,
                stream=True,
            ) as response:  # streamed, so that its body is not read
                return bool(200 <= response.status_code < 300)
        except requests.RequestException as error:  # its text contains the URL, which is a secret
            log.warning("The webhook cannot be reached: %s", type(error).__name__)
            return False


def _json_value(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value
