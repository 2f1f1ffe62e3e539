"""Prometheus scrapes the API as k8s/components/monitoring configures it: with a key of the scope metrics."""

import json
from pathlib import Path

from tests.jobs.steps import wait_until
from tests.lib.monitoring.prometheus import needs_prometheus, prometheus, up, values
from tests.lib.serving.conftest import served, settings_of

from wattcast.serving.security.keys import ApiKeys


@needs_prometheus
def test_prometheus_scrapes_the_api_with_a_key(state: Path, tmp_path: Path) -> None:
    _, text = ApiKeys(tmp_path / "keys.json").create("prometheus", ("metrics",))
    (tmp_path / "key").write_text(text)
    with served(settings_of(state, keys_file=str(tmp_path / "keys.json")), auth=True) as client:
        assert client.get("/v1/alerts").status_code == 401
        address = f"{client.base_url.host}:{client.base_url.port}"
        with prometheus(tmp_path, address, key_file=tmp_path / "key") as (server, process):
            wait_until(process, lambda: bool(values(server, "wattcast_api_refused_total")))
            (refused,) = values(server, "wattcast_api_refused_total").items()
            assert json.loads(refused[0]) | {"why": "key", "instance": address} == json.loads(refused[0])
            assert refused[1] == 1
            assert up(server) == 1


@needs_prometheus
def test_prometheus_without_a_key_is_refused(state: Path, tmp_path: Path) -> None:
    guarded = served(settings_of(state, keys_file=str(tmp_path / "keys.json")), auth=True)
    with (
        guarded as client,
        prometheus(tmp_path, f"{client.base_url.host}:{client.base_url.port}") as (server, process),
    ):
        wait_until(process, lambda: values(server, "up") != {})
        assert list(values(server, "up").values()) == [0]
        assert up(server) == 0
