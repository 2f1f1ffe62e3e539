"""The names of Leases."""

import re

import pytest

from wattcast.lake.lease_api import lease_name


@pytest.mark.parametrize("lock", ["hourly_usage", "query-forecast", "tables", "Ünüsual..Name_", "x" * 300])
def test_names_of_leases_are_dns_labels(lock: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", lease_name("s3a://bucket/lake", lock))


def test_names_of_leases_tell_lakes_and_locks_apart() -> None:
    lakes = ("s3a://bucket/lake", "s3a://bucket/lake2", "/var/lib/wattcast/lake")
    names = {lease_name(lake, lock) for lake in lakes for lock in ("query-forecast", "query_forecast", "forecasts")}
    assert len(names) == 9
    assert lease_name("s3a://bucket/lake/", "forecasts") == lease_name("s3a://bucket/lake", "forecasts")
