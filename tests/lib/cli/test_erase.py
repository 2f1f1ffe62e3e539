"""`wattcast buildings erase` erases nothing without a confirmation."""

import io

import pytest
from tests.commands import Wattcast


def test_without_a_yes_nothing_is_erased(
    wattcast: Wattcast, no_broker: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    result = wattcast("buildings", "erase", "b1", **no_broker)
    assert (result.status, "Aborted" in result.out + result.err) == (1, True)
    assert (
        f"Erase the building b1 and all earlier versions of the tables in {no_broker['WATTCAST_STATE']}/lake?"
        in result.out
    )


def test_an_empty_id_is_refused(wattcast: Wattcast, no_broker: dict[str, str]) -> None:
    result = wattcast("buildings", "erase", "", "--yes", **no_broker)
    assert (result.status, result.line) == (
        2,
        "The id of the building is empty: give the id as it is in its readings.\n",
    )
