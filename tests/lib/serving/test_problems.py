"""Bad requests get the right status and a sentence."""

import re
from urllib.error import HTTPError
from urllib.request import urlopen

import httpx
import pytest
from tests.lib.serving.conftest import ServedClient
from tests.lib.serving.http import problem
from tests.lib.serving.lake import END

from wattcast.serving.responses.cursors import encode_cursor

HOSTILE = [
    "x' OR '1'='1",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "a;DROP TABLE forecasts",
    "\U0001f3e0",
    "%00",
    "{id}",
]


OF_NO_TEXT = encode_cursor("rejected", [END, "\ud800", 0, 0])  # half of a surrogate pair


DAY = {"from": "2026-03-13T00:00:00Z", "to": "2026-03-14T00:00:00Z"}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("path", ["", "/forecast", "/history"])
def test_hostile_id_is_an_unknown_building(client: ServedClient, name: str, path: str) -> None:
    quoted = httpx.URL(f"/v1/buildings/{name.replace('/', '%2F')}{path}")
    assert re.search("building|does not exist", problem(client.get(quoted), 404))


@pytest.mark.parametrize(
    ("path", "query", "status", "says"),
    [
        ("/v1/nowhere", {}, 404, "The path /v1/nowhere does not exist."),
        ("/v1/buildings/nowhere/forecast", {}, 404, "There is no building nowhere."),
        ("/v1/buildings/building-0/forecast", {"as_of": "2026-03-14T12:00:00"}, 422, "and a time zone"),
        ("/v1/buildings/building-0/forecast", {"as_of": "9999-12-31T23:59:59-14:00"}, 422, "does not exist"),
        ("/v1/buildings/building-0/forecast", {"as_of": "2020-01-01T00:00:00Z"}, 404, "was issued in the seven days before"),
        ("/v1/buildings/building-0/history", {"from": DAY["to"], "to": DAY["from"]}, 422, "from must be earlier than to."),
        ("/v1/buildings/building-0/history", {"from": "2000-01-01T00:00:00Z"}, 422, "at most 366 days"),
        ("/v1/buildings", {"cursor": "!!"}, 400, "The cursor is not valid for the list buildings"),
        ("/v1/rejected", {"cursor": "WyJidWlsZGluZ3MiLCAiYSJd"}, 400, "without the cursor"),
        ("/v1/buildings", {"cursor": "WyJidWlsZGluZ3MiLCAiXHVkODAwIl0"}, 400, "without the cursor"),
        ("/v1/rejected", {"cursor": OF_NO_TEXT}, 400, "without the cursor"),
        ("/v1/forecasts", {"limit": 501}, 422, "at most 500 rows"),
        ("/v1/accuracy", {"by": "moon"}, 422, "by"),
    ],
)  # fmt: skip
def test_bad_request_is_a_sentence(
    client: ServedClient, path: str, query: dict[str, object], status: int, says: str
) -> None:
    assert says in problem(client.get(path, params=query), status)  # type: ignore[arg-type]


def test_ten_thousand_ids_are_refused_with_the_limit(client: ServedClient) -> None:
    ids = "&".join(f"building_id=building-{number}" for number in range(10_000))
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{client.base_url.copy_with(path='/v1/forecasts')}?{ids}")
    assert refused.value.code == 422
    assert "A request can name at most 1000 building_id, not 10000" in refused.value.read().decode()
