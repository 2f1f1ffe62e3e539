"""`wattcast keys` refuses a name that cannot be printed."""

import pytest
from tests.commands import Wattcast


@pytest.mark.parametrize("name", ["", " ", "a\tb", "a\nb"])
def test_name_of_a_key_must_be_printable(name: str, wattcast: Wattcast, no_broker: dict[str, str]) -> None:
    result = wattcast("keys", "create", name, **no_broker)
    message = "The name of a key must not be empty and must be printable: use the name of its owner.\n"
    assert (result.status, result.line) == (2, message)


def test_created_key_is_listed_until_it_is_revoked(wattcast: Wattcast, no_broker: dict[str, str]) -> None:
    created = wattcast("keys", "create", "grafana", "--scope", "metrics", **no_broker)
    key_id = created.out.split("_")[1]
    assert created.line == f"Key {key_id} of grafana has the scopes: metrics. Store it now, it is not shown again.\n"
    assert wattcast("keys", "list", **no_broker).out.endswith("  valid\n")
    assert wattcast("keys", "revoke", key_id, **no_broker).out == f"Key {key_id} of grafana is revoked.\n"
    restricted = wattcast("keys", "create", "tenant", "--building", "town-hall", "--site", "north", **no_broker)
    assert restricted.line.endswith(
        "has the scopes: read and sees buildings=town-hall sites=north. Store it now, it is not shown again.\n"
    )
    assert "tenant  read  buildings=town-hall sites=north  created" in wattcast("keys", "list", **no_broker).out
    refused = wattcast("keys", "create", "x", "--scope", "metrics", "--site", "north", **no_broker)
    assert (refused.status, "Metrics are those of all buildings" in refused.line) == (2, True)
    assert "  revoked " in wattcast("keys", "list", **no_broker).out
