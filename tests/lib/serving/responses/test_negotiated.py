"""JSON, CSV and Arrow hold the same rows; ETags and compression."""

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.lib.serving.conftest import ServedClient, served, settings_of
from tests.lib.serving.http import get
from tests.lib.serving.lake import END, append, forecasts_of, write_lake


def cell(value: Any) -> str:
    """A JSON value in the form of CSV."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def plain(value: Any) -> Any:
    """An Arrow value in the form of JSON."""
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


@pytest.mark.parametrize(
    "path",
    [
        "/v1/buildings",
        "/v1/buildings/building-0/history",
        "/v1/forecasts",
        "/v1/rejected",
        "/v1/devices",
        "/v1/alerts",
    ],
)
def test_csv_and_arrow_hold_what_json_holds(client: ServedClient, path: str) -> None:
    in_json = get(client, path)["items"]
    if path == "/v1/forecasts":
        in_json = [{**one, **hour} for one in in_json for hour in one["hours"]]
        for row in in_json:
            del row["hours"]
    as_csv = client.get(path, headers={"Accept": "text/csv"})
    as_arrow = client.get(path, headers={"Accept": "application/vnd.apache.arrow.stream"})
    assert as_csv.headers["content-type"].startswith("text/csv")
    table = pa.ipc.open_stream(as_arrow.content).read_all()
    ages = dict.fromkeys({"age_seconds"} & set(in_json[0]))  # which go on between two answers
    lines = csv.DictReader(io.StringIO(as_csv.text))
    assert in_json
    assert [line | ages for line in lines] == [
        {name: cell(value) for name, value in row.items()} | ages for row in in_json
    ]
    in_arrow = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
    assert [row | ages for row in in_arrow] == [row | ages for row in in_json]


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("text/csv;q=0, */*", "application/json"),
        ("text/csv; q=0.5, application/json; q=0.4", "text/csv"),
        ("application/json, text/csv;q=0.9", "application/json"),
        ("text/html, text/csv;q=0.8, */*;q=0.1", "text/csv"),
        ("text/csvx", "application/json"),
        ("text/csv;q=much", "application/json"),
    ],
)
def test_format_is_the_one_with_the_highest_quality_value(client: ServedClient, accept: str, media: str) -> None:
    assert client.get("/v1/alerts", headers={"Accept": accept}).headers["content-type"].startswith(media)


def test_unchanged_response_is_not_sent_again_and_a_new_forecast_is(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        first = client.get(f"/v1/buildings/{names[0]}/forecast")
        again = client.get(f"/v1/buildings/{names[0]}/forecast", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        append(tmp_path / "lake", "forecasts", forecasts_of(names[:1], END + timedelta(hours=1)))
        client.refresh()
        newer = client.get(f"/v1/buildings/{names[0]}/forecast", headers={"If-None-Match": first.headers["etag"]})
        assert newer.json()["origin"] == "2026-03-15T01:00:00Z"


def test_large_response_is_compressed_if_the_client_accepts_gzip(client: ServedClient) -> None:
    compressed = client.get("/v1/forecasts", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/v1/forecasts", headers={"Accept-Encoding": "identity"})
    assert compressed.headers["content-encoding"] == "gzip"
    assert int(compressed.headers["content-length"]) < len(plain.content) / 3
    assert [item["forecast_id"] for item in compressed.json()["items"]] == [
        item["forecast_id"] for item in plain.json()["items"]
    ]
