"""A forecast is one and the same in Kafka, in the table and in the API; and the server is a process like the other jobs."""

import json
import signal
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from jobs.aggregate import AGGREGATE
from jobs.forecast import FORECAST
from jobs.ingest import INGEST
from jobs.publish import PUBLISH
from tests.jobs.steps import at, command, put_buildings, reading, send, wait_until, work
from tests.lib.monitoring.prometheus import free_port
from tests.lib.serving.conftest import served, settings_of

from wattcast.cli.model_follower import ModelFollower
from wattcast.runtime.context import Run
from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor

BUILDINGS = ("long", "short")


def test_api_message_and_row_are_the_same_forecast(once: Run) -> None:
    kafka = once.settings.kafka
    put_buildings(
        once, *({"building_id": name, "reading_interval_minutes": 60, "timezone": "UTC"} for name in BUILDINGS)
    )
    begin = at("2026-03-01T00:00")
    for name, days in zip(BUILDINGS, (8, 2), strict=True):
        hours = [begin + timedelta(days=8 - days, hours=hour) for hour in range(24 * days)]
        values = [reading(name, f"{hour:%Y-%m-%dT%H:%M}", 2 + hour.hour / 7) for hour in hours]
        send(once.broker, kafka.readings_topic, values, arrival=at("2026-03-09T00:01"), key=name.encode())
    work(once, INGEST, AGGREGATE, FORECAST, PUBLISH)
    consumer = once.broker.consumer(kafka.forecasts_topic)
    total = sum(end for _, end in once.broker.offsets(kafka.forecasts_topic).values())
    messages = [json.loads(next(consumer).value) for _ in range(total)]
    consumer.close()
    with served(settings_of(once.settings.state).model_copy(update={"lake": once.settings.lake_uri})) as client:
        for name in BUILDINGS:
            message = max((each for each in messages if each["building_id"] == name), key=lambda each: each["origin"])
            row = once.lake.table("forecasts").where(f"forecast_id = '{message['forecast_id']}'").collect()[0]
            found = client.get(f"/v1/buildings/{name}/forecast").json()
            for key in ("forecast_id", "building_id", "method", "model_name", "model_version", "warnings"):
                assert found[key] == message[key] == row[key]
            for key in ("p10_kwh", "p50_kwh", "p90_kwh"):
                assert [hour[key] for hour in found["hours"]] == message[key] == row[key]
            for key in ("origin", "issued_at", "created_at"):
                assert at(found[key].rstrip("Z")) == at(message[key].rstrip("Z"))
            targets = [at(hour["target_hour"].rstrip("Z")) for hour in found["hours"]]
            assert targets == [at(each.rstrip("Z")) for each in message["target_hour"]]
    assert {each["method"] for each in messages if each["building_id"] == "long"} >= {"model"}


def test_posted_readings_get_the_forecast_that_the_job_makes(once: Run) -> None:
    kafka = once.settings.kafka
    put_buildings(once, {"building_id": "b", "reading_interval_minutes": 60, "timezone": "UTC", "country": "GB"})
    begin = at("2026-03-01T00:00")
    hours = [begin + timedelta(hours=hour) for hour in range(24 * 8)]
    values = [reading("b", f"{hour:%Y-%m-%dT%H:%M}", 2 + hour.hour / 7) for hour in hours]
    send(once.broker, kafka.readings_topic, values, arrival=at("2026-03-09T00:01"))
    work(once, INGEST, AGGREGATE, FORECAST)
    row = once.lake.table("forecasts").orderBy("origin", ascending=False).first()
    body = {
        "building": {"building_id": "b", "timezone": "UTC", "country": "GB", "reading_interval_minutes": 60},
        "readings": [
            {"measured_at": f"{hour:%Y-%m-%dT%H:%M:%SZ}", "energy_usage_kwh": 2 + hour.hour / 7} for hour in hours
        ],
    }
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with command(once, "serve", "--port", str(port)) as server:
        wait_until(server, lambda: answers(f"{address}/readyz"))
        request = Request(f"{address}/v1/forecasts", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=120) as answer:
            found = json.load(answer)
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert row is not None
    assert (found["method"], found["model_version"]) == ("model", Predictor.read(shipped_artifact()).version)
    assert at(found["origin"].rstrip("Z")) == at(f"{row.origin:%Y-%m-%dT%H:%M}")
    for key in ("p10_kwh", "p50_kwh", "p90_kwh"):
        made = row[key]
        assert all(abs(hour[key] - kwh) <= 1e-6 * abs(kwh) for hour, kwh in zip(found["hours"], made, strict=True))


def test_process_that_is_ended_makes_place_for_another(tmp_path: Path) -> None:
    with ModelFollower(settings_of(tmp_path)) as follower:
        forecaster = follower.forecaster()
        first = forecaster.executor()
        hangs = first.submit(signal.pause)
        assert first.submit(abs, -1) is not None
        forecaster.terminate()
        with pytest.raises(BrokenProcessPool):
            hangs.result(60)
        assert forecaster.executor().submit(abs, -1).result(60) == 1


def answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
