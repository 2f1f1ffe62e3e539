"""Other contracts than those of the project, for tests of upgrades."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from wattcast import contracts
from wattcast.contracts import Column, Contract

Declare = Callable[..., None]


def declaring(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """A function that changes the columns of a contract for the time of a test, by name; None removes one."""

    def declare(name: str, version: str = "1.1.0", **columns: Column | None) -> None:
        current = contracts.contracts()
        changed = _changed(current[name], version, columns)
        monkeypatch.setattr(contracts, "contracts", lambda: {**current, name: changed})

    return declare


def column(name: str, kind: str = "DOUBLE", *, required: bool = False) -> Column:
    return Column(name, "number", kind, required, "A column that isn't of the release")


def declared(table: str, name: str) -> Column:
    """A column as its contract declares it."""
    return next(one for one in contracts.contract(table).columns if one.name == name)


def _changed(contract: Contract, version: str, columns: dict[str, Column | None]) -> Contract:
    merged = {one.name: one for one in contract.columns} | columns
    return replace(contract, version=version, columns=tuple(filter(None, merged.values())))
