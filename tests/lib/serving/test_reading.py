"""What the API answers is what the tables hold."""

import csv
import io
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import END, append, forecasts_of, write_lake

from wattcast.devices import devices
from wattcast.serving import fleet


def rows(state: Path, table: str) -> pd.DataFrame:
    return DeltaTable(str(state / "lake" / table)).to_pandas()


def get(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        page = get(client, path, **query | ({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return found


def as_time(text: str) -> datetime:
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def same_forecast(found: dict[str, Any], row: Any) -> None:
    """A forecast of the API is this row, to the last bit."""
    for name in ("forecast_id", "building_id", "method", "model_name", "model_version"):
        assert found[name] == row[name]
    assert [as_time(found[name]) for name in ("origin", "issued_at", "created_at")] == [
        row[name] for name in ("origin", "issued_at", "created_at")
    ]
    assert found["warnings"] == list(row["warnings"])
    assert [as_time(hour["target_hour"]) for hour in found["hours"]] == list(
        pd.DatetimeIndex(row["target_hour"], tz="UTC")
    )
    for level in ("p10_kwh", "p50_kwh", "p90_kwh"):
        assert [hour[level] for hour in found["hours"]] == list(row[level])


def test_current_forecast_is_the_newest_row(client: httpx.Client, state: Path) -> None:
    made = rows(state, "forecasts")
    for name, of_building in made.groupby("building_id"):
        same_forecast(get(client, f"/v1/buildings/{name}/forecast"), of_building.sort_values("origin").iloc[-1])


def test_forecast_as_of_a_time_is_the_newest_that_had_been_issued(client: httpx.Client, state: Path) -> None:
    made = rows(state, "forecasts")
    at = END - timedelta(
        days=3, minutes=56
    )  # four minutes past an hour, one before the forecast of that hour was issued
    expected = made[(made.building_id == "building-0") & (made.issued_at <= at)].sort_values("origin").iloc[-1]
    found = get(client, "/v1/buildings/building-0/forecast", as_of=at.isoformat().replace("+00:00", "Z"))
    same_forecast(found, expected)
    assert as_time(found["origin"]) == END - timedelta(days=3, hours=2)
    assert found["is_stale"]


def test_many_forecasts_come_in_pages_and_by_site(client: httpx.Client) -> None:
    everywhere = pages(client, "/v1/forecasts", limit=2)
    assert [each["building_id"] for each in everywhere] == [f"building-{number}" for number in range(5)]
    north = get(client, "/v1/forecasts", site="north")["items"]
    assert [each["building_id"] for each in north] == ["building-0", "building-2", "building-4"]
    asked = get(client, "/v1/forecasts", building_id=["building-3", "nowhere", "building-3"])["items"]
    assert [each["building_id"] for each in asked] == ["building-3"]


def test_history_has_the_newest_revision_and_the_forecast_of_a_lead(client: httpx.Client, state: Path) -> None:
    start = END - timedelta(days=14)
    query = {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{END:%Y-%m-%dT%H:%M:%SZ}", "lead_hours": 3}
    found = pd.DataFrame(get(client, "/v1/buildings/building-0/history", **query)["items"])
    usage = rows(state, "hourly_usage").query("building_id == 'building-0'").sort_values("available_at")
    newest = usage.drop_duplicates("hour", keep="last").sort_values("hour")
    assert list(map(as_time, found.hour)) == list(newest.hour)
    assert list(found.energy_usage_kwh) == list(newest.energy_usage_kwh)
    assert found["flags"].map(list).tolist()[30] == ["partial"]
    made = rows(state, "forecasts").query("building_id == 'building-0'").set_index("origin")
    for row in found.dropna(subset=["p50_kwh"]).itertuples():
        assert row.p50_kwh == made.p50_kwh[as_time(row.hour) - timedelta(hours=2)][2]
    assert found.p50_kwh.notna().sum() == 13 * 24 - 2


@pytest.mark.parametrize(
    ("by", "columns"),
    [
        ("building", ["building_id"]),
        ("lead", ["lead_hours"]),
        ("hour", ["local_hour"]),
        ("model", ["method"]),
        ("day", ["day"]),
    ],
)
def test_accuracy_is_that_of_pandas(client: httpx.Client, state: Path, by: str, columns: list[str]) -> None:
    columns = [*columns, "model_name", "model_version"]
    scores = rows(state, "forecast_scores").assign(day=lambda each: each.target_hour.dt.strftime("%Y-%m-%d"))
    for row in get(client, "/v1/accuracy", by=by)["items"]:
        is_of_group = np.logical_and.reduce([scores[name] == row[name] for name in columns])
        group = scores[is_of_group]
        error, actual = group.error_kwh, group.actual_kwh
        rmse = np.sqrt((error**2).mean())
        expected = {
            "hours": len(group), "mean_kwh": actual.mean(), "mae_kwh": error.abs().mean(), "rmse_kwh": rmse,
            "cv_rmse": rmse / abs(actual.mean()), "nmbe": error.mean() / actual.mean(), "pinball_kwh": group.pinball_kwh.mean(),
            "interval_coverage": group.in_interval.mean(), "last_day_mae_kwh": (group.last_day_kwh - actual).abs().mean(),
            "last_week_mae_kwh": (group.last_week_kwh - actual).abs().mean(),
        }  # fmt: skip
        found = {name: np.nan if row[name] is None else row[name] for name in expected}
        pd.testing.assert_series_equal(pd.Series(found), pd.Series(expected), rtol=1e-9, check_dtype=False)


def test_corrected_actual_replaces_its_score(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=1, days=2)
    scores = rows(tmp_path, "forecast_scores")
    with served(settings_of(tmp_path)) as client:
        before = get(client, "/v1/accuracy", by="building")["items"][0]
        corrected = scores.iloc[[0]].assign(
            error_kwh=1000.0, available_at=scores.available_at.iloc[0] + timedelta(hours=9)
        )
        append(tmp_path / "lake", "forecast_scores", corrected)
        client.app.state.serving.snapshot.refresh()  # type: ignore[attr-defined]
        after = get(client, "/v1/accuracy", by="building")["items"][0]
    assert after["hours"] == before["hours"]
    gained = (1000.0 - abs(scores.error_kwh.iloc[0])) / before["hours"]
    assert after["mae_kwh"] - before["mae_kwh"] == pytest.approx(gained)


def test_devices_say_what_is_wrong(client: httpx.Client) -> None:
    found = {row["device_id"]: row for row in pages(client, "/v1/devices", limit=2)}
    assert {name: row["state"] for name, row in found.items()} == {
        "meter-0": "ok", "meter-1": "ok", "meter-2": "stuck", "meter-3": "ok", "meter-4": "silent",
    }  # fmt: skip
    assert (found["meter-0"]["readings_24h"], found["meter-0"]["rejected_24h"]) == (24, 1)
    assert found["meter-0"]["last_rejected_for"] == ["not_json"]
    assert [row["device_id"] for row in get(client, "/v1/devices", state="silent")["items"]] == ["meter-4"]


def test_devices_are_told_by_the_rules_of_the_command_with_their_gaps(tmp_path: Path) -> None:
    """One with holes in its day and of which the very last record was rejected, which alone makes it no bad device."""
    write_lake(tmp_path / "lake", buildings=2, days=3)
    hours = [back for back in range(1, 60) if back not in (3, 6, 7, 8)]
    readings = [_record("meter-9", END - timedelta(hours=back), float(back)) for back in hours]
    bad = readings[0] | {
        "accepted": False, "measured_at": None, "rejected_for": ["humidity_pct.wrong_type"],
        "kafka_timestamp": END + timedelta(minutes=2), "kafka_offset": 9999,
    }  # fmt: skip
    append(tmp_path / "lake", "received_readings", [*readings, bad])
    with served(settings_of(tmp_path)) as client:
        items = get(client, "/v1/devices")["items"]
    told = {row["device_id"]: row for row in items}["meter-9"]
    assert (told["gaps_24h"], told["longest_gap_minutes"], told["readings_24h"]) == (2, 180.0, 20)
    assert (told["state"], told["last_rejected_for"]) == ("ok", ["humidity_pct.wrong_type"])
    expected = sorted(devices(str(tmp_path / "lake")).items, key=lambda each: (each.device_id, each.building_id))
    for row, device in zip(items, expected, strict=True):
        times = {name: row[name] and as_time(row[name]) for name in ("last_seen_at", "last_measured_at")}
        assert row | times == asdict(device) | {"last_rejected_for": list(device.last_rejected_for)}


def _record(device: str, measured_at: datetime, kwh: float) -> dict[str, Any]:
    return {
        "building_id": "building-0", "device_id": device, "measured_at": measured_at, "energy_usage_kwh": kwh, "accepted": True,
        "schema_version": 1, "kafka_topic": "readings", "kafka_partition": 1, "kafka_offset": int(kwh), "rejected_for": [],
        "kafka_timestamp": measured_at + timedelta(minutes=61), "payload_bytes": 140,
    }  # fmt: skip


def test_rejected_come_newest_first_in_pages_with_their_reasons(client: httpx.Client, state: Path) -> None:
    ledger = rows(state, "received_readings").query("not accepted").sort_values("kafka_timestamp", ascending=False)
    found = pages(client, "/v1/rejected", limit=3)
    assert [row["kafka_offset"] for row in found] == list(ledger.kafka_offset)
    assert [row["payload"].encode() for row in found] == list(ledger.raw_payload)
    one = pages(client, "/v1/rejected", limit=1, rule="not_json")
    assert [row["rejected_for"] for row in one] == [["not_json"]] * len(one)
    summary = {row["rule"]: row["records"] for row in get(client, "/v1/rejected/summary")["items"]}
    assert summary == ledger.rejected_for.explode().value_counts().to_dict()
    assert summary["not_json"] == len(one)


def test_health_pages_and_newest_measurements(client: httpx.Client, state: Path) -> None:
    table = rows(state, "health")
    found = pages(client, "/v1/health", measure="completeness", limit=100)
    assert len(found) == (table.measure == "completeness").sum()
    newest = pages(client, "/v1/health", latest=True, limit=7)
    assert len(newest) == len(table.drop_duplicates(["measure", "scope", "subject"]))
    assert {row["as_of"] for row in newest} == {"2026-03-15T00:00:00Z"}


@pytest.mark.parametrize("limit", [3, 100])
def test_health_is_thinned_to_the_newest_of_each_span_whatever_the_pages(
    client: httpx.Client, state: Path, limit: int
) -> None:
    table = rows(state, "health").query("scope == 'fleet' and as_of > '2026-03-10T00:00:00Z'")
    wanted = table.assign(day=table.as_of.dt.floor("D")).groupby(["measure", "day"]).as_of.max()
    found = pages(client, "/v1/health", scope="fleet", every=24 * 60, limit=limit, **{"from": "2026-03-10T00:00:01Z"})
    assert sorted((row["measure"], row["as_of"]) for row in found) == sorted(
        (measure, f"{as_of:%Y-%m-%dT%H:%M:%SZ}") for (measure, _), as_of in wanted.items()
    )


def test_replay_of_old_readings_keeps_its_measurements_beside_the_progress_of_its_jobs(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    lake, end = tmp_path / "lake", now - timedelta(days=60)
    write_lake(lake, buildings=2, days=9, end=end)
    measured = rows(tmp_path, "health").query("as_of == as_of.max()").assign(measured_at=now - timedelta(minutes=5))
    append(lake, "health", measured)
    lag = {"measure": "stream_lag_records", "scope": "query", "subject": "ingest", "value": 5.0, "samples": 1}
    append(lake, "health", [lag | {"as_of": now, "measured_at": now}])
    with served(settings_of(tmp_path)) as client:
        fleet = get(client, "/v1/overview")
        assert fleet["completeness_24h"] is not None
        assert fleet["measured"]["completeness_24h"]["as_of"] < fleet["now"] < fleet["server_time"]
        newest = get(client, "/v1/health", measure="stream_lag_records", subject="ingest", latest=True)["items"]
        assert [row["value"] for row in newest] == [5.0]
        since = (now - timedelta(days=1)).isoformat().replace("+00:00", "Z")
        found = get(client, "/v1/health", scope="query", subject="ingest", clock="measured_at", **{"from": since})
        assert 5.0 in {row["value"] for row in found["items"]}


def test_alerts_by_state(client: httpx.Client) -> None:
    assert [row["rule"] for row in get(client, "/v1/alerts", severity="critical")["items"]] == ["meter_silent"]
    assert [row["rule"] for row in pages(client, "/v1/alerts", limit=1)] == ["meter_silent", "meter_stuck"]
    assert [row["rule"] for row in get(client, "/v1/alerts", state="resolved")["items"]] == ["meter_late"]
    assert len(get(client, "/v1/alerts", state="all")["items"]) == 3


def test_buildings_models_and_overview(client: httpx.Client) -> None:
    assert [row["building_id"] for row in get(client, "/v1/buildings", search="ING-3")["items"]] == ["building-3"]
    last = get(client, "/v1/buildings/building-4")
    assert (last["last_reading_at"], last["open_alerts"]) == ("2026-03-14T18:00:00Z", 1)
    assert [row["model_version"] for row in get(client, "/v1/models")["items"]] == ["1.9.0", "2.0.0"]
    fleet = get(client, "/v1/overview")
    assert (fleet["buildings"], fleet["forecasts_fresh"], fleet["forecasts_stale"]) == (5, 5, 0)
    assert fleet["alerts"] == {"critical": 1, "warning": 1}


def cell(value: Any) -> str:
    """A value of JSON as CSV shows it."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def plain(value: Any) -> Any:
    """A value of Arrow as JSON shows it."""
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
def test_csv_and_arrow_hold_what_json_holds(client: httpx.Client, path: str) -> None:
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
def test_format_is_the_one_that_is_wanted_most(client: httpx.Client, accept: str, media: str) -> None:
    assert client.get("/v1/alerts", headers={"Accept": accept}).headers["content-type"].startswith(media)


def test_devices_are_made_once_for_all_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_lake(tmp_path / "lake", buildings=3, days=2)
    made = []
    devices = fleet.devices
    monkeypatch.setattr("wattcast.serving.app.devices", lambda *of: made.append(1) or devices(*of))
    with served(settings_of(tmp_path)) as client:
        assert len(pages(client, "/v1/devices", limit=1)) == 3
        assert len(made) == 1


def test_known_answer_is_not_sent_again_and_a_new_forecast_is(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=2, days=2)
    with served(settings_of(tmp_path)) as client:
        first = client.get(f"/v1/buildings/{names[0]}/forecast")
        again = client.get(f"/v1/buildings/{names[0]}/forecast", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        append(tmp_path / "lake", "forecasts", forecasts_of(names[:1], END + timedelta(hours=1)))
        client.app.state.serving.snapshot.refresh()  # type: ignore[attr-defined]
        newer = client.get(f"/v1/buildings/{names[0]}/forecast", headers={"If-None-Match": first.headers["etag"]})
        assert newer.json()["origin"] == "2026-03-15T01:00:00Z"


def test_large_answer_is_packed_where_the_client_can_unpack(client: httpx.Client) -> None:
    packed = client.get("/v1/forecasts", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/v1/forecasts", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert [each["forecast_id"] for each in packed.json()["items"]] == [
        each["forecast_id"] for each in plain.json()["items"]
    ]


def test_compacted_table_keeps_its_current_forecasts(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=3, days=2)
    with served(settings_of(tmp_path)) as client:
        before = get(client, "/v1/forecasts")["items"]
        append(tmp_path / "lake", "forecasts", forecasts_of(names[:1], END + timedelta(hours=1)))
        DeltaTable(str(tmp_path / "lake" / "forecasts")).optimize.compact()
        client.app.state.serving.snapshot.refresh()  # type: ignore[attr-defined]
        after = get(client, "/v1/forecasts")["items"]
    assert [each["origin"] for each in after] == ["2026-03-15T01:00:00Z", *(each["origin"] for each in before[1:])]
