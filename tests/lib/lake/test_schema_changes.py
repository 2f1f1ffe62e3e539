"""Which differences between a table and its contract are migrated by jobs, by `wattcast migrate`, or not at all."""

from dataclasses import replace

import pytest

from wattcast.contracts import Contract, contract
from wattcast.lake.schema_changes import Action, ColumnType, TableShape, column_type, differences

TABLE = contract("received_readings")
FITTING = TableShape(
    "id", {column.name: column_type(column) for column in TABLE.columns}, TABLE.partitioned_by, TABLE.version
)


def shape(**changes: ColumnType | None) -> TableShape:
    """The shape of a table whose columns differ from those of its contract; None: the table lacks the column."""
    columns = FITTING.columns | changes
    return replace(FITTING, columns={name: kind for name, kind in columns.items() if kind is not None})


def test_a_table_as_its_contract_declares_has_no_differences() -> None:
    assert differences(TABLE, FITTING) == []


@pytest.mark.parametrize(
    ("table", "action", "text"),
    [
        (shape(occupancy=None), Action.ADD, "occupancy is missing in the table and DOUBLE in the contract"),
        (shape(kafka_topic=None), Action.REFUSE, "kafka_topic is missing in the table and STRING NOT NULL in the contract"),
        (
            shape(kafka_offset=ColumnType("INT", True)), Action.CHANGE_TYPE,
            "kafka_offset is INT NOT NULL in the table and BIGINT NOT NULL in the contract",
        ),
        (
            shape(kafka_offset=ColumnType("INT", False)), Action.REFUSE,
            "kafka_offset is INT in the table and BIGINT NOT NULL in the contract",
        ),
        (shape(occupancy=ColumnType("STRING", False)), Action.REFUSE, "STRING in the table and DOUBLE in the contract"),
        (shape(kafka_offset=ColumnType("BIGINT", False)), Action.REFUSE, "BIGINT in the table and BIGINT NOT NULL in the"),
        (shape(occupancy=ColumnType("DOUBLE", True)), Action.ALLOW_NULL, "DOUBLE NOT NULL in the table and DOUBLE in the"),
        (shape(co2_ppm=ColumnType("INT", False)), Action.KEEP, "co2_ppm is INT in the table and missing in the contract"),
        (shape(co2_ppm=ColumnType("INT", True)), Action.ALLOW_NULL, "INT NOT NULL in the table and missing in the contract"),
        (replace(FITTING, partitioned_by=()), Action.REFUSE, "the partitioning is none in the table and accepted in the"),
    ],
)  # fmt: skip
def test_each_difference_names_both_types_and_what_can_be_done(table: TableShape, action: Action, text: str) -> None:
    (difference,) = differences(TABLE, table)
    assert difference.action == action
    assert text in str(difference)
    assert difference.is_automatic == (action == Action.ADD)
    assert difference.blocks_jobs == (action not in (Action.ADD, Action.KEEP))


def added(table: Contract, present: TableShape) -> bool:
    """Whether a job adds the column `occupancy` by itself."""
    return next(one for one in differences(table, present) if one.column == "occupancy").is_automatic


def test_a_column_that_may_have_been_renamed_by_a_new_major_version_is_not_added_by_a_job() -> None:
    renamed = shape(occupancy=None, people=ColumnType("INT", False))
    assert added(TABLE, renamed)  # of the same major version: the table was written by a later release
    assert not added(replace(TABLE, version="2.0.0"), renamed)
    assert added(replace(TABLE, version="2.0.0"), shape(occupancy=None))
