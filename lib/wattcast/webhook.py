"""Alerts to a webhook: each change once, in order; what did not get through is tried again at the next evaluation."""

import json
import logging
import os
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
ORDER = ("created_at", "alert_id", "state")  # in which changes are told; no two are alike in it
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
    """A URL that takes JSON by POST: {"text": ..., "alerts": [...]}, or none. `memory` is the file that says up to which change,
    in ORDER, all were told."""

    url: str
    seconds: float
    memory: Path

    def tell(self, alerts: DataFrame) -> bool:
        """Send what is new in the table `alerts`, MOST_AT_ONCE changes at most; whether that got through. Takes no longer than
        `seconds`."""
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
        self._remember(new[-1])
        return True

    def _new(self, alerts: DataFrame) -> list[dict[str, Any]]:
        """The first MOST_AT_ONCE changes that come after the last that was told; a change may share its time with any number."""
        last = self._last()
        if last is not None:
            told = F.struct(*(F.lit(value).alias(name) for name, value in zip(ORDER, last, strict=True)))
            alerts = alerts.where((F.col("created_at") >= F.lit(last[0])) & (F.struct(*ORDER) > told))
        return [row.asDict() for row in alerts.orderBy(*ORDER).limit(MOST_AT_ONCE).collect()]

    def _last(self) -> tuple[datetime, str, str] | None:
        """The last change that was told, by ORDER."""
        if not self.memory.is_file():
            return None
        try:
            told = json.loads(self.memory.read_text(encoding="utf-8"))
            return datetime.fromisoformat(told["created_at"]), str(told["alert_id"]), str(told["state"])
        except (ValueError, KeyError, TypeError):
            log.warning("%s cannot be read: all changes of alerts are told again.", self.memory.name)
            return None

    def _remember(self, row: dict[str, Any]) -> None:
        """Written whole or not at all."""
        self.memory.parent.mkdir(parents=True, exist_ok=True)
        told = {"created_at": row["created_at"].isoformat(), "alert_id": row["alert_id"], "state": row["state"]}
        draft = self.memory.with_name(f".{self.memory.name}.draft")
        draft.write_text(json.dumps(told), encoding="utf-8")
        os.replace(draft, self.memory)

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


def _plain(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(value, datetime) else value
