"""The audit log: who read raw payloads of devices, by the logger `wattcast.audit`."""

import logging
from datetime import UTC, datetime
from typing import Any

from fastapi import Request

from wattcast.logs import AUDIT_FIELD, AUDIT_LOGGER
from wattcast.serving.responses.encodings import to_json
from wattcast.serving.security.keys import ApiKey

log = logging.getLogger(AUDIT_LOGGER)


def log_payload_read(request: Request, key: ApiKey | None, criteria: dict[str, Any], *, rows: int) -> None:
    """Log a read of raw payloads as one line of JSON, with the id of the key and never the key. `criteria` are checked values, so
    that a client cannot write lines of any length."""
    entry = {
        "event": "payloads_read",
        "at": datetime.now(UTC),
        "key_id": key.key_id if key else None,
        "address": request.client.host if request.client else None,
        "route": request.scope["route"].path,
        "filter": {name: value for name, value in criteria.items() if value is not None},
        "rows": rows,
    }
    text = to_json(entry).decode()
    log.info("%s", text, extra={AUDIT_FIELD: text})
