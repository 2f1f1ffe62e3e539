"""Quotas of ingest: what a device sends beyond them is rejected with the reason, wherever a batch ends."""

from dataclasses import replace
from datetime import timedelta

import pytest
from jobs.ingest import INGEST
from tests.jobs.steps import put_buildings, send, work
from tests.jobs.test_ingest import ARRIVAL, message, rows_of

from wattcast.runtime.context import Run

BEYOND = ["quota_exceeded"]


def limited(run: Run, max_offsets: int, **quotas: int) -> Run:
    """The run with these quotas, in batches of so many records."""
    own = run.settings.with_changes(quotas=quotas, batch={"max_offsets_per_batch": max_offsets})
    changed = replace(run, settings=own)
    put_buildings(changed, {"building_id": "b1", "reading_interval_minutes": 60})
    return changed


def decisions(run: Run, *minutes: list[bytes]) -> list[list[str]]:
    """`rejected_for` of the records, which arrive a minute after each other."""
    for number, records in enumerate(minutes):
        arrival = ARRIVAL + timedelta(minutes=number)
        send(run.broker, run.settings.kafka.readings_topic, records, arrival=arrival)
    work(run, INGEST)
    return [row.rejected_for for row in rows_of(run)]


@pytest.mark.parametrize("max_offsets", [2, 1000])
def test_records_of_a_device_beyond_its_quota_of_the_minute_are_rejected(once: Run, max_offsets: int) -> None:
    run = limited(once, max_offsets, records_per_minute=2)
    flood, other, wrong = [message()] * 4, message(device_id="m2"), message(humidity_pct=101)
    first = [wrong, *flood, other, other]
    assert decisions(run, first, [message()] * 3) == [
        ["humidity_pct.out_of_range"], [], [], BEYOND, BEYOND, [], [],
        [], [], BEYOND,
    ]  # fmt: skip
    rejected = [row for row in rows_of(run) if row.rejected_for == BEYOND]
    assert {bytes(row.raw_payload) for row in rejected} == {message()}


@pytest.mark.parametrize("max_offsets", [2, 1000])
def test_bytes_of_a_device_beyond_its_quota_of_the_minute_are_rejected(once: Run, max_offsets: int) -> None:
    run = limited(once, max_offsets, kilobytes_per_minute=1)
    large = message(note="x" * 600)
    assert decisions(run, [large, large, message()], [large]) == [[], BEYOND, BEYOND, []]


@pytest.mark.parametrize("max_offsets", [3, 1000])
def test_further_buildings_without_metadata_than_the_quota_of_the_day_are_rejected(once: Run, max_offsets: int) -> None:
    run = limited(once, max_offsets, unknown_buildings_per_day=2)
    strangers = [message(building_id=f"stranger-{number}") for number in range(4)]
    assert decisions(run, [*strangers, message()], [*reversed(strangers), message()]) == [
        [], [], BEYOND, BEYOND, [],
        BEYOND, BEYOND, [], [], [],
    ]  # fmt: skip
