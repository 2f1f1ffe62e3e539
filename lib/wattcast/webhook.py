"""Alerts to a webhook: each change once, in order; what did not get through is tried again at the next evaluation."""

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

log = logging.getLogger("wattcast.webhook")

MOST_AT_ONCE = 500  # changes a request
TOLD = (
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
    """A URL that takes JSON by POST: {"text": ..., "alerts": [...]}, or none. `memory` is the file that says up to which change
    all were told."""

    url: str
    seconds: float
    memory: Path

    def tell(self, alerts: DataFrame) -> bool:
        """Send what is new in the table `alerts`; whether nothing is left. Takes no longer than `seconds`."""
        if not self.url:
            return True
        new = self._new(alerts)
        if not new:
            return True
        sent: list[bool] = []
        sending = threading.Thread(target=lambda: sent.append(self._post(new)), daemon=True)
        sending.start()
        sending.join(self.seconds)
        if not any(sent):
            log.warning("%d changes of alerts did not reach the webhook: they are sent again.", len(new))
            return False
        newest = max(row["created_at"] for row in new)
        at_newest = sorted(self._key(row) for row in new if row["created_at"] == newest)
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        self.memory.write_text(json.dumps({"until": newest.isoformat(), "told": at_newest}), encoding="utf-8")
        return True

    def _new(self, alerts: DataFrame) -> list[dict[str, Any]]:
        known = json.loads(self.memory.read_text(encoding="utf-8")) if self.memory.is_file() else {}
        if known:
            alerts = alerts.where(F.col("created_at") >= F.lit(datetime.fromisoformat(known["until"])))
        rows = [row.asDict() for row in alerts.orderBy("created_at", "alert_id", "state").limit(MOST_AT_ONCE).collect()]
        told = set(known.get("told", ()))
        return [row for row in rows if self._key(row) not in told]

    def _post(self, rows: list[dict[str, Any]]) -> bool:
        said = [{name: _plain(row[name]) for name in TOLD} for row in rows]
        text = "\n".join(f"{row['state']}: {row['message']}" for row in rows[:20])
        body = {"text": text, "alerts": said}
        try:
            with requests.post(
                self.url, json=body, timeout=self.seconds, allow_redirects=False, stream=True
            ) as answer:  # its body is not read
                return bool(200 <= answer.status_code < 300)
        except requests.RequestException as error:  # its text holds the URL, which is a secret
            log.warning("The webhook cannot be reached: %s", type(error).__name__)
            return False

    @staticmethod
    def _key(row: dict[str, Any]) -> str:
        return f"{row['alert_id']}/{row['state']}"


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value
