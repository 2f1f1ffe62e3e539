"""Whether contracts are compatible with their last released versions in data-contracts/released; `make lint` runs it."""

import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wattcast.contracts import Column, Contract, ContractError, parse_contract
from wattcast.settings import project_folder

# By limit, whether a change from the first to the second value refuses values that were allowed before.
IS_NARROWED: Mapping[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.lt,
    "minLength": operator.lt,
    "maximum": operator.gt,
    "maxLength": operator.gt,
    "pattern": operator.ne,
    "enum": lambda before, after: not set(before) <= set(after),
}
FIXED = ("physical_type", "unit", "key_position", "partition_position")


def incompatible_changes(before: str, after: str) -> list[str]:
    """What in the contract text `after` breaks a reader or writer of `before`; empty with a new major version.

    Columns that a contract takes from another one are compared in that contract.
    """
    old, new = parse_contract(before), parse_contract(after)
    return [] if new.major > old.major else list(_incompatible(old, new))


def incompatible_contracts(folder: Path) -> list[str]:
    """A sentence for each incompatible change of the contracts in `folder` since their release, and for each contract that was
    removed or has no released version in `folder`/released."""
    current, released = (
        {file.name: file.read_text(encoding="utf-8") for file in sorted(place.glob("*.odcs.yaml"))}
        for place in (folder, folder / "released")
    )
    problems = [f"{name} was removed." for name in released if name not in current]
    problems += [f"{name} has no released version: copy it to released/." for name in current if name not in released]
    for name in released:
        if name in current:
            problems += [f"{name}: {change}." for change in incompatible_changes(released[name], current[name])]
    return problems


def main() -> None:
    """Exit 1 with the incompatible changes, if there are any, or with the reason why a contract cannot be read."""
    try:
        problems = incompatible_contracts(project_folder("data-contracts"))
    except ContractError as error:
        sys.exit(str(error))
    if problems:
        hint = "Undo them, or raise the contract's major version and copy it to data-contracts/released when it is released."
        print("\n".join(["Incompatible changes of data contracts:", *problems, hint]), file=sys.stderr)
        sys.exit(1)


def _incompatible(old: Contract, new: Contract) -> Iterator[str]:
    columns = {column.name: column for column in new.columns}
    for before in old.columns:
        after = columns.pop(before.name, None)
        if after is None:
            yield f"{before.name} was removed"
        else:
            yield from _incompatible_column(before, after, is_table=old.kind == "table")
    for column in columns.values():
        if column.required:
            yield f"{column.name} is new and required"


def _incompatible_column(before: Column, after: Column, *, is_table: bool) -> Iterator[str]:
    for name in FIXED:
        if getattr(before, name) != getattr(after, name):
            yield f"{before.name}: {name} changed from {getattr(before, name)} to {getattr(after, name)}"
    if after.required and not before.required:
        yield f"{before.name} became required"
    if before.required and not after.required and is_table:
        yield f"{before.name} became optional"
    for limit, is_narrowed in IS_NARROWED.items():
        old, new = before.limits.get(limit), after.limits.get(limit)
        if new is not None and (old is None or is_narrowed(old, new)):
            yield f"{before.name}: {limit} was narrowed"
    for rule, sql in after.rules.items():
        if sql != before.rules.get(rule):
            yield f"{before.name}: rule {rule} is new or changed"


if __name__ == "__main__":
    main()
