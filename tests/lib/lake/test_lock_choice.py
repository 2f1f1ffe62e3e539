"""Which locks a lake gets, and that a lake that they cannot protect is not written."""

from pathlib import Path

import pytest

from wattcast.lake.file_locks import FileLocks
from wattcast.lake.lock_choice import choose_locks
from wattcast.lake.locks import UnsafeLake
from wattcast.settings import Settings

DYNAMODB, SINGLE_DRIVER = "io.delta.storage.S3DynamoDBLogStore", "io.delta.storage.S3SingleDriverLogStore"


@pytest.mark.parametrize("commit_store", ["", SINGLE_DRIVER])
@pytest.mark.parametrize("lake", ["s3a://bucket/lake", "s3://bucket/lake"])
def test_s3_is_not_written_where_nothing_keeps_other_machines_away(lake: str, commit_store: str) -> None:
    with pytest.raises(UnsafeLake, match=r"two writers.*spark\.delta\.logStore\.s3a?\.impl.*WATTCAST_LOCKS=machine"):
        choose_locks(Settings(lake=lake), commit_store=commit_store)


@pytest.mark.parametrize(
    ("settings", "commit_store"),
    [
        (Settings(lake="s3a://bucket/lake", locks="machine"), ""),
        (Settings(lake="s3a://bucket/lake"), DYNAMODB),
        (Settings(lake="abfss://lake@account.dfs.core.windows.net/"), ""),  # it refuses to write a file twice
    ],
)
def test_object_stores_that_are_safe_have_files_in_the_state_folder(settings: Settings, commit_store: str) -> None:
    assert isinstance(choose_locks(settings, commit_store=commit_store).process_locks, FileLocks)


def test_a_variable_of_kubernetes_without_an_account_is_no_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert isinstance(choose_locks(Settings(lake=str(tmp_path)), account=tmp_path).process_locks, FileLocks)
