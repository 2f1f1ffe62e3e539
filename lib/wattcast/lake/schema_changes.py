"""How a table differs from its contract, and which differences can be migrated without loss.

A table keeps its columns when its contract changes. Jobs add new optional columns when they start; the other differences need
`wattcast migrate`, see `wattcast.lake.migration`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from wattcast.contracts import Column, Contract

MISSING = "missing"
WIDER_TYPES = {"INT": ("BIGINT", "DOUBLE")}  # they hold each value of the type exactly


class Action(StrEnum):
    """What `wattcast migrate` does about a difference."""

    ADD = "add column"
    CHANGE_TYPE = "change type"
    ALLOW_NULL = "allow null"
    KEEP = "nothing"
    REFUSE = "cannot"


@dataclass(frozen=True)
class ColumnType:
    """The type of a column as in SQL, such as BIGINT, and whether each row must have a value."""

    name: str
    is_required: bool

    def __str__(self) -> str:
        return f"{self.name} NOT NULL" if self.is_required else self.name


@dataclass(frozen=True)
class TableShape:
    """The id of a table, its columns, and the version of the contract that it was created or migrated for, if it has one."""

    id: str
    columns: Mapping[str, ColumnType]
    partitioned_by: tuple[str, ...]
    contract_version: str | None = None


@dataclass(frozen=True)
class Difference:
    """A difference between a table and its contract, in one column or, where `column` is empty, in the partitioning.
    `is_automatic` says whether jobs migrate it when they start."""

    column: str
    in_table: str
    in_contract: str
    action: Action
    reason: str
    is_automatic: bool = False

    @property
    def blocks_jobs(self) -> bool:
        return not self.is_automatic and self.action != Action.KEEP

    def __str__(self) -> str:
        subject = f"the column {self.column}" if self.column else "the partitioning"
        return f"{subject} is {self.in_table} in the table and {self.in_contract} in the contract"


def differences(table: Contract, shape: TableShape) -> list[Difference]:
    """The differences between a table and its contract, by the columns of the contract and then of the table."""
    return list(_differences(table, shape))


def column_type(column: Column) -> ColumnType:
    return ColumnType(column.physical_type.upper(), column.required)


def _differences(table: Contract, shape: TableShape) -> Iterator[Difference]:
    if shape.partitioned_by != table.partitioned_by:
        yield Difference(
            "",
            _names(shape.partitioned_by),
            _names(table.partitioned_by),
            Action.REFUSE,
            "its files are in other folders",
        )
    extra = [name for name in shape.columns if name not in table.column_names]
    for column in table.columns:
        present, declared = shape.columns.get(column.name), column_type(column)
        if present is None:
            yield _missing(column.name, declared, former_names=extra if _is_of_other_major(table, shape) else ())
        elif present != declared:
            yield _changed(column.name, present, declared, is_partition=column.name in shape.partitioned_by)
    for name in extra:
        yield _extra(name, shape.columns[name])


def _missing(name: str, declared: ColumnType, *, former_names: Sequence[str]) -> Difference:
    """A column that the table lacks. It may have had another name if the table has columns that a later major version of the
    contract, which may rename columns, does not have."""
    if declared.is_required:
        return Difference(name, MISSING, str(declared), Action.REFUSE, "the rows of the table have no value for it")
    if former_names:
        reason = f"it is null in existing rows, also if it was renamed from {_names(former_names)}"
        return Difference(name, MISSING, str(declared), Action.ADD, reason)
    return Difference(name, MISSING, str(declared), Action.ADD, "it is null in existing rows", is_automatic=True)


def _changed(name: str, present: ColumnType, declared: ColumnType, *, is_partition: bool) -> Difference:
    """A column with another type or nullability."""
    action, reason = Action.REFUSE, "values could be lost"
    if declared.is_required and not present.is_required:
        reason = "rows may lack a value"
    elif present.name == declared.name:
        action, reason = Action.ALLOW_NULL, "only the definition changes"
    elif is_partition:
        reason = "its files are in other folders"
    elif declared.name in WIDER_TYPES.get(present.name, ()):
        action, reason = Action.CHANGE_TYPE, "the table is rewritten; the wider type holds each value exactly"
    return Difference(name, str(present), str(declared), action, reason)


def _extra(name: str, present: ColumnType) -> Difference:
    """A column that only the table has, as after a release before or behind this one."""
    if present.is_required:
        return Difference(name, str(present), MISSING, Action.ALLOW_NULL, "new rows have no value for it")
    return Difference(name, str(present), MISSING, Action.KEEP, "its values stay, and it is null in new rows")


def _is_of_other_major(table: Contract, shape: TableShape) -> bool:
    return shape.contract_version is not None and int(shape.contract_version.split(".")[0]) != table.major


def _names(columns: Sequence[str]) -> str:
    return ", ".join(columns) or "none"
