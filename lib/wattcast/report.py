"""What the commands print: tables in the terminal, or rows for other programs."""

import csv
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich import box
from rich.table import Table

from wattcast.audit import SHOWN_LOSSES, PartitionAudit
from wattcast.terminal import plain

if TYPE_CHECKING:
    from wattcast.expectations import Checked


def sql_table(rows: DataFrame, most: int) -> Table:
    """The first `most` rows of a query; the caption says if there are more."""
    taken = as_texts(rows).take(most + 1)
    table = Table(caption=f"the first {most} rows" if len(taken) > most else f"{len(taken)} rows")
    for name in rows.columns:
        table.add_column(plain(name), overflow="fold")
    for row in taken[:most]:
        table.add_row(*map(plain, row))
    return table


def print_csv(rows: DataFrame) -> None:
    """A header and all rows as they come; what is null is empty."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.columns)
    writer.writerows(as_texts(rows).toLocalIterator())


def print_json(rows: DataFrame) -> None:
    """All rows as they come, an object a line, as a JSON array."""
    whole = rows.select(F.to_json(F.struct("*"), {"ignoreNullFields": "false"}).alias("row"))
    separator = "["
    for row in whole.toLocalIterator():
        print(separator, row["row"], sep="\n", end="")
        separator = ","
    print("\n]" if separator == "," else "[]")


def as_texts(rows: DataFrame) -> DataFrame:
    """Every value as Spark writes it: times in UTC, whatever the time zone of this machine."""
    names = [f"column_{number}" for number in range(len(rows.columns))]
    return rows.toDF(*names).select(*(F.col(name).cast("string") for name in names))


def contracts_table(checked: "Sequence[Checked]") -> Table:
    table = Table("table", "rows", "expectations", "broken", title="Do the tables keep their contracts?")
    for each in checked:
        table.add_row(each.table, f"{each.rows:,}", str(each.tried), plain("\n".join(each.failed) or "none"))
    return table


def audit_table(partitions: list[PartitionAudit]) -> Table:
    title = "Audit: is every committed Kafka record one row?"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left")
    for name in ("topic", "partition", "accepted", "rejected", "offsets", "broker", "lag", "verdict"):
        table.add_column(name, overflow="fold", no_wrap=name not in ("topic", "offsets", "broker"))
    for each in partitions:
        offsets = "none" if each.first_offset is None else f"{each.first_offset} to {each.last_offset}"
        table.add_row(
            plain(each.topic), str(each.partition), f"{each.accepted:,}", f"{each.rejected:,}", offsets,
            f"{each.begins} to {each.ends - 1}" if each.ends > each.begins else "empty", f"{each.lag:,}",
            "clean" if each.is_clean else "NOT CLEAN",
        )  # fmt: skip
    found = [f"{each.topic}, partition {each.partition}: {said}." for each in partitions if (said := _found(each))]
    table.caption = plain("\n".join(found)) if found else None
    return table


def _found(each: PartitionAudit) -> str:
    """What is to be said of a partition; empty where there is nothing."""
    lost = ", ".join(f"{low}-{high}" for low, high in each.lost[:SHOWN_LOSSES])
    problems = {
        f"LOST offsets {lost}": bool(each.lost),
        f"{each.doubled} DOUBLED": bool(each.doubled),
        "TOPIC RECREATED": each.is_recreated,
        f"{each.decided_otherwise} JUDGED WRONGLY": bool(each.decided_otherwise),
        f"{each.unverifiable} unverifiable (gone from the broker)": bool(each.unverifiable),
    }
    return "; ".join(text for text, holds in problems.items() if holds)
