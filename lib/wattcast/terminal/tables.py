"""The tables that commands print: of contracts and of the audit."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from wattcast.ingest.audit import MAX_LISTED_LOSSES, PartitionAudit
from wattcast.terminal.console import plain

if TYPE_CHECKING:
    from wattcast.monitoring.measures.contract_checks import TableCheck

UNREAD = "because they were deleted from the topic before they were read"


def contracts_table(checks: "Sequence[TableCheck]") -> Table:
    table = Table("table", "rows", "expectations", "failed", title="Tables checked against their contracts")
    for check in checks:
        table.add_row(check.table, f"{check.rows:,}", str(check.tried), plain("\n".join(check.failed) or "none"))
    return table


def audit_table(partitions: list[PartitionAudit]) -> Table:
    """A row per partition; below the table a sentence for each partition with problems or with erased rows."""
    title = "Audit: is every committed Kafka record one row?"
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left")
    for name in ("topic", "partition", "accepted", "rejected", "offsets", "broker", "lag", "status"):
        table.add_column(name, overflow="fold", no_wrap=name not in ("topic", "offsets", "broker"))
    for partition in partitions:
        offsets = "none" if partition.first_offset is None else f"{partition.first_offset} to {partition.last_offset}"
        is_empty = partition.log_end <= partition.log_start
        table.add_row(
            plain(partition.topic), str(partition.partition), f"{partition.accepted:,}", f"{partition.rejected:,}", offsets,
            "empty" if is_empty else f"{partition.log_start} to {partition.log_end - 1}", f"{partition.lag:,}",
            "clean" if partition.is_clean else "NOT CLEAN",
        )  # fmt: skip
    sentences = [
        f"{partition.topic}, partition {partition.partition}: {findings}."
        for partition in partitions
        if (findings := _audit_findings(partition))
    ]
    table.caption = plain("\n".join(sentences)) if sentences else None
    return table


def _audit_findings(partition: PartitionAudit) -> str:
    """The problems of a partition, and how many rows were erased; empty where there is neither."""
    lost = ", ".join(f"{low}-{high}" for low, high in partition.lost[:MAX_LISTED_LOSSES])
    findings = {
        f"LOST offsets {lost}": bool(partition.lost),
        f"{partition.duplicates} DUPLICATE rows": bool(partition.duplicates),
        "TOPIC RECREATED": partition.is_recreated,
        f"{partition.decided_differently} rows CONTRADICT the rules": bool(partition.decided_differently),
        f"{partition.unverifiable:,} offsets CANNOT BE VERIFIED, {UNREAD}": bool(partition.unverifiable),
        f"{partition.erased:,} rows were erased with their buildings": bool(partition.erased),
    }
    return "; ".join(text for text, is_true in findings.items() if is_true)
