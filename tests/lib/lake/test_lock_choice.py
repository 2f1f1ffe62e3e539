"""Which locks a lake gets, and that a lake that they cannot protect is not written."""

import re
from pathlib import Path

import pytest

from wattcast.locks import FileLocks, TableHasAWriter, UnsafeLake, lease_name, locks
from wattcast.settings import Settings

DYNAMODB, SINGLE_DRIVER = "io.delta.storage.S3DynamoDBLogStore", "io.delta.storage.S3SingleDriverLogStore"


def test_another_process_of_this_machine_is_refused_until_the_first_has_released_it(tmp_path: Path) -> None:
    settings = Settings(lake=str(tmp_path / "lake"))
    first, second = locks(settings), locks(settings)
    first.take("forecasts")
    first.take("forecasts")
    with pytest.raises(TableHasAWriter, match="forecasts has a writer already: another Wattcast process"):
        second.take("forecasts")
    first.release("forecasts")
    second.take("forecasts")
    second.take("hourly_usage")
    second.close()
    first.take("hourly_usage")
    first.close()


@pytest.mark.parametrize("commit_store", ["", SINGLE_DRIVER])
@pytest.mark.parametrize("lake", ["s3a://bucket/lake", "s3://bucket/lake"])
def test_s3_is_not_written_where_nothing_keeps_other_machines_away(lake: str, commit_store: str) -> None:
    with pytest.raises(UnsafeLake, match=r"another|spark\.delta\.logStore\.s3a?\.impl.*WATTCAST_LOCKS=machine"):
        locks(Settings(lake=lake), commit_store=commit_store)


@pytest.mark.parametrize(
    ("settings", "commit_store"),
    [
        (Settings(lake="s3a://bucket/lake", locks="machine"), ""),
        (Settings(lake="s3a://bucket/lake"), DYNAMODB),
        (Settings(lake="abfss://lake@account.dfs.core.windows.net/"), ""),  # it refuses to write a file twice
    ],
)
def test_object_stores_that_are_safe_have_files_in_the_state_folder(settings: Settings, commit_store: str) -> None:
    assert isinstance(locks(settings, commit_store=commit_store), FileLocks)


def test_a_variable_of_kubernetes_without_an_account_is_no_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert isinstance(locks(Settings(lake=str(tmp_path)), account=tmp_path), FileLocks)


@pytest.mark.parametrize("lock", ["hourly_usage", "query-forecast", "tables", "Ünüsual..Name_", "x" * 300])
def test_names_of_leases_are_dns_labels(lock: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", lease_name("s3a://bucket/lake", lock))


def test_names_of_leases_tell_lakes_and_locks_apart() -> None:
    lakes = ("s3a://bucket/lake", "s3a://bucket/lake2", "/var/lib/wattcast/lake")
    names = {lease_name(lake, lock) for lake in lakes for lock in ("query-forecast", "query_forecast", "forecasts")}
    assert len(names) == 9
    assert lease_name("s3a://bucket/lake/", "forecasts") == lease_name("s3a://bucket/lake", "forecasts")
