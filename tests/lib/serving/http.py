"""Requests to a served API, and the rows that they should return."""

from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from deltalake import DeltaTable
from tests.lib.serving.conftest import ServedClient


def rows(state: Path, table: str) -> pd.DataFrame:
    return DeltaTable(str(state / "lake" / table)).to_pandas()


def get(client: ServedClient, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(client: ServedClient, path: str, **query: Any) -> list[dict[str, Any]]:
    items, cursor = [], None
    while True:
        page = get(client, path, **query | ({"cursor": cursor} if cursor else {}))
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return items


def as_time(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a response that is a valid problem with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return str(body["detail"])
