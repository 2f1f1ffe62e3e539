"""A key of some buildings or sites sees only these, on every route."""

import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.lib.serving.conftest import ServedClient, forecaster, served, settings_of
from tests.lib.serving.http import get, pages, problem
from tests.lib.serving.lake import END, append, forecasts_of, write_lake
from tests.lib.serving.test_events import events

from wattcast.serving.security.access import BuildingAccess
from wattcast.serving.security.keys import METRICS_OF_ALL, ApiKeyError, ApiKeys
from wattcast.serving.tables.visible import visible_subjects

PUBLIC = {"/", "/healthz", "/readyz", "/openapi.json", "/static"}
WHOLE_SERVER = {"/metrics"}
LISTS = {
    "/v1/overview", "/v1/buildings", "/v1/forecasts", "/v1/accuracy?by=building", "/v1/models", "/v1/devices", "/v1/health",
    "/v1/rejected", "/v1/rejected/summary", "/v1/alerts?state=all",
}  # fmt: skip
OF_A_BUILDING = {
    "/v1/buildings/{building_id:path}",
    "/v1/buildings/{building_id:path}/forecast",
    "/v1/buildings/{building_id:path}/history",
}
TESTED_APART = {"/v1/events", "POST /v1/forecasts"}

OWN = ["building-0", "building-1", "building-3"]  # the first, and those of the site south
FOREIGN = ["building-2", "building-4"]
ACCESS = BuildingAccess(("building-0",), ("south",))


def created(file: Path, access: BuildingAccess, *scopes: str) -> dict[str, str]:
    """The headers of a new key."""
    return {"X-API-Key": ApiKeys(file).create("tenant", scopes or ("read", "forecast"), access)[1]}


@pytest.fixture(scope="module")
def tenant(state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedClient]:
    """A client with a key of OWN."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    headers = created(file, ACCESS)
    with served(settings_of(state, keys_file=str(file), burst=1000), forecaster(), auth=True) as client:
        client.headers.update(headers)
        yield client


def routes(of: Iterable[Any]) -> Iterator[tuple[str, set[str]]]:
    """The path and the methods of each route, also of the routers that were included."""
    for route in of:
        if hasattr(route, "original_router"):
            yield from routes(route.original_router.routes)
        else:
            yield route.path, getattr(route, "methods", None) or set()


def test_every_route_has_a_decision(tenant: ServedClient) -> None:
    """A new route fails here until it is added to one of the sets above, whose routes the other tests request."""
    of_app = {f"POST {path}" if "POST" in methods else path for path, methods in routes(tenant.app.routes)}
    decided = PUBLIC | WHOLE_SERVER | {path.partition("?")[0] for path in LISTS} | OF_A_BUILDING | TESTED_APART
    assert of_app == decided


@pytest.mark.parametrize("path", sorted(LISTS))
@pytest.mark.parametrize("form", ["json", "csv"])
def test_list_has_no_row_of_another_building(path: str, form: str, tenant: ServedClient) -> None:
    answer = tenant.get(path, params={"limit": 500} | ({} if form == "json" else {"format": form}))
    assert answer.status_code == 200, answer.text
    foreign = [name for number in (2, 4) for name in (f"building-{number}", f"meter-{number}") if name in answer.text]
    assert not foreign


def test_lists_have_the_rows_of_their_own_buildings(tenant: ServedClient) -> None:
    def names(path: str, **query: object) -> list[str]:
        return sorted({row["building_id"] for row in pages(tenant, path, **query)})

    assert [names("/v1/buildings"), names("/v1/forecasts"), names("/v1/accuracy", by="building")] == [OWN] * 3
    assert names("/v1/rejected") == ["building-0"]
    assert names("/v1/forecasts", building_id=[*OWN, *FOREIGN]) == OWN
    assert names("/v1/rejected", building_id="building-2") == []
    health = pages(tenant, "/v1/health", latest=True)
    assert {row["scope"] for row in health} == {"building", "device"}
    assert {row["subject"] for row in health} == {*OWN, *(name.replace("building", "meter") for name in OWN)}


def test_overview_counts_own_buildings_and_has_no_figure_of_the_fleet(
    tenant: ServedClient, client: ServedClient
) -> None:
    own, fleet = get(tenant, "/v1/overview"), get(client, "/v1/overview")
    assert (own["buildings"], own["forecasts_fresh"] + own["forecasts_stale"]) == (3, 3)
    assert own["completeness_24h"] is None
    assert fleet["completeness_24h"] is not None
    assert {row["building_id"] for row in own["worst_buildings"]} == set(OWN)
    assert own["mae_kwh_7d"] not in (None, fleet["mae_kwh_7d"])


def test_models_count_own_forecasts_without_the_registry(tenant: ServedClient, client: ServedClient) -> None:
    own, fleet = pages(tenant, "/v1/models"), pages(client, "/v1/models")
    assert [5 * row["forecasts"] for row in own] == [3 * row["forecasts"] for row in fleet]
    assert all((row["is_champion"], row["aliases"], row["metrics"]) == (None, [], {}) for row in own)


@pytest.mark.parametrize("path", sorted(OF_A_BUILDING))
def test_other_building_is_absent(path: str, tenant: ServedClient) -> None:
    assert tenant.get(path.replace("{building_id:path}", "building-3")).status_code == 200
    for name in ("building-2", "no-such"):
        absent = tenant.get(path.replace("{building_id:path}", name))
        assert problem(absent, 404) == f"There is no building {name}."
    if path.endswith("/forecast"):
        absent = tenant.get(path.replace("{building_id:path}", "building-2"), params={"as_of": END.isoformat()})
        assert problem(absent, 404) == "There is no building building-2."


def test_whole_server_is_refused_and_public_paths_are_not(tenant: ServedClient, tmp_path: Path) -> None:
    assert [tenant.get(path).status_code for path in sorted(PUBLIC - {"/static"})] == [200] * 4
    problem(tenant.get("/metrics"), 403)
    with pytest.raises(ApiKeyError, match=METRICS_OF_ALL):
        created(tmp_path / "keys.json", ACCESS, "metrics")


def test_posted_forecast_may_name_own_buildings_and_sites_only(tenant: ServedClient) -> None:
    def status(**building: str) -> int:
        readings = [{"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": 12.5}]
        return tenant.post("/v1/forecasts", json={"building": building, "readings": readings}).status_code

    allowed = [status(), status(building_id="building-0"), status(building_id="building-1", site="south")]
    refused = [status(building_id="building-2"), status(building_id="no-such"), status(site="east")]
    assert (allowed, refused) == ([200] * 3, [404] * 3)


def test_events_of_other_buildings_are_not_sent(tmp_path: Path) -> None:
    names = write_lake(tmp_path / "lake", buildings=3, days=2)
    headers = created(tmp_path / "keys.json", BuildingAccess(("building-1",)))
    with served(settings_of(tmp_path), auth=True) as client:
        next_hour = forecasts_of(names, END.replace(hour=1))
        write = threading.Thread(target=append, args=(tmp_path / "lake", "forecasts", next_hour))
        kinds = "?kind=forecast&kind=forecasts&kind=alert"
        (first,) = events(client, 1, write, kinds, **headers)
        assert (first["event"], json.loads(first["data"])["building_id"]) == ("forecast", "building-1")
        alert = DeltaTable(str(tmp_path / "lake/alerts")).to_pyarrow_table().slice(0, 1).to_pylist()[0]
        alerts = [alert | {"alert_id": name, "scope": "building", "subject": name} for name in names]
        write = threading.Thread(target=append, args=(tmp_path / "lake", "alerts", alerts))
        (second,) = events(client, 1, write, kinds, **headers | {"Last-Event-ID": first["id"]})
        assert (second["event"], json.loads(second["data"])["subject"]) == ("alert", "building-1")


def test_membership_of_a_site_follows_the_table_of_buildings(tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=3, days=2)
    headers = created(tmp_path / "keys.json", BuildingAccess(sites=("south",)))
    nobody = created(tmp_path / "keys.json", BuildingAccess(sites=("east",)))
    with served(settings_of(tmp_path), auth=True) as client:

        def names(headers: dict[str, str]) -> list[str]:
            answer = client.get("/v1/buildings", headers=headers)
            return [row["building_id"] for row in answer.json()["items"]]

        assert (names(headers), names(nobody)) == (["building-1"], [])
        buildings = DeltaTable(str(tmp_path / "lake/buildings")).to_pyarrow_table().sort_by("building_id")
        moved = buildings.set_column(
            buildings.schema.get_field_index("site"), "site", pa.array(["south", "north", "east"])
        )
        write_deltalake(str(tmp_path / "lake/buildings"), moved, mode="overwrite")
        client.refresh()
        assert (names(headers), names(nobody)) == (["building-0"], ["building-2"])


def test_subject_with_slashes_is_visible_only_if_every_possible_building_is() -> None:
    subjects = ["a", "a/m", "a/b", "a/b/m", "meter", "fleet"]
    devices = [("a", "m"), ("a/b", "m"), ("a", "meter"), ("c", "meter")]

    def visible(*ids: str) -> set[str]:
        return set(visible_subjects(subjects, frozenset(ids), all_ids=["a", "a/b", "c"], devices=devices))

    assert visible("a") == {"a", "a/m"}
    assert visible("a/b") == set()  # each may be of the building a too
    assert visible("a", "a/b") == {"a", "a/m", "a/b", "a/b/m"}
    assert visible("a", "c") == {"a", "a/m", "meter"}


def test_keys_of_earlier_releases_see_all_buildings(tmp_path: Path) -> None:
    keys = ApiKeys(tmp_path / "keys.json")
    _, text = keys.create("old", ("read",))
    (row,) = json.loads(keys.file.read_text())
    assert set(row) == {"key_id", "name", "sha256", "scopes", "created_at", "revoked_at"}
    key = keys.authenticate(text)
    assert key is not None
    assert not key.access.is_restricted
    keys.file.write_text(json.dumps([row | {"sites": "south"}]))
    with pytest.raises(ApiKeyError, match="sites is not a list of texts"):
        keys.all()
