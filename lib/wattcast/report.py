"""What the commands print: tables in the terminal."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from rich.console import Console
from rich.table import Table

from wattcast.audit import SHOWN_LOSSES, PartitionAudit

if TYPE_CHECKING:
    from wattcast.expectations import Checked


def show(table: Table) -> None:
    Console().print(table)


def sql_table(rows: DataFrame, most: int) -> Table:
    """The first `most` rows of a query; the caption says if there are more."""
    taken = rows.take(most + 1)
    table = Table(*rows.columns, caption=f"the first {most} rows" if len(taken) > most else f"{len(taken)} rows")
    for row in taken[:most]:
        table.add_row(*("" if value is None else str(value) for value in row))
    return table


def contracts_table(checked: "Sequence[Checked]") -> Table:
    table = Table("table", "rows", "expectations", "broken", title="Do the tables keep their contracts?")
    for each in checked:
        table.add_row(each.table, f"{each.rows:,}", str(each.tried), "\n".join(each.failed) or "none")
    return table


def audit_table(partitions: list[PartitionAudit]) -> Table:
    columns = ("topic", "partition", "accepted", "rejected", "offsets", "broker", "lag", "verdict")
    table = Table(*columns, title="Audit: is every committed Kafka record one row?")
    for each in partitions:
        offsets = "none" if each.first_offset is None else f"{each.first_offset} to {each.last_offset}"
        table.add_row(
            each.topic, str(each.partition), f"{each.accepted:,}", f"{each.rejected:,}", offsets,
            f"{each.begins} to {each.ends - 1}" if each.ends > each.begins else "empty", f"{each.lag:,}", _verdict(each),
        )  # fmt: skip
    return table


def _verdict(each: PartitionAudit) -> str:
    lost = ", ".join(f"{low}-{high}" for low, high in each.lost[:SHOWN_LOSSES])
    problems = {
        f"LOST offsets {lost}": bool(each.lost),
        f"{each.doubled} DOUBLED": bool(each.doubled),
        "TOPIC RECREATED": each.is_recreated,
        f"{each.decided_otherwise} JUDGED WRONGLY": bool(each.decided_otherwise),
        f"{each.unverifiable} unverifiable (gone from the broker)": bool(each.unverifiable),
    }
    return "; ".join(text for text, holds in problems.items() if holds) or "clean"
