"""`wattcast doctor --lake` says of each damage where it is and how to restore it."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from tests.commands import Wattcast
from tests.lib.lake.test_damaged_log import newest_commit

from wattcast.runtime.context import Run


@pytest.fixture
def filled(once: Run) -> Run:
    """A lake whose table `buildings` has been replaced."""
    rows = once.lake.frame("buildings", pd.DataFrame({"building_id": ["b0", "b1"]}))
    once.lake.replace("buildings", rows)
    return once


def doctor(wattcast: Wattcast, run: Run) -> tuple[int, dict[str, list[str]]]:
    """The exit status of the doctor, and its faults by table and query."""
    result = wattcast("--state", str(run.settings.state), "doctor", "--lake", "--json")
    report = json.loads(result.out)
    checkups = [*report["tables"], *report["queries"]]
    return result.status, {one.get("name") or one["query"]: one["faults"] for one in checkups if one["faults"]}


def test_the_doctor_says_of_each_damage_where_it_is_and_how_to_restore_it(
    filled: Run, wattcast: Wattcast, tmp_path: Path
) -> None:
    table, checkpoint = Path(filled.lake.path("buildings")), Path(filled.settings.checkpoints_uri, "ingest")
    assert doctor(wattcast, filled) == (0, {})
    shutil.copytree(table, tmp_path / "whole")

    def restore() -> None:
        shutil.rmtree(table)
        shutil.copytree(tmp_path / "whole", table)

    newest = newest_commit(filled)
    newest.write_bytes(b"")
    status, faults = doctor(wattcast, filled)
    assert (status, len(faults["buildings"])) == (1, 1)
    assert faults["buildings"][0].startswith(
        f"The newest commit _delta_log/{newest.name} is empty, so its rows are missing"
    )
    assert "restore that file from a backup" in faults["buildings"][0]
    restore()
    shutil.copy(newest, newest.with_name(f"{3:020}.json"))
    assert "The commits 2 to 2 are missing in _delta_log. Stop the jobs" in doctor(wattcast, filled)[1]["buildings"][0]
    restore()
    next(table.glob("*.parquet")).unlink()
    assert "1 of 2 data files are missing or cut off" in doctor(wattcast, filled)[1]["buildings"][0]
    restore()
    for name in ("offsets/0", "offsets/2", "commits/0"):
        (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
        (checkpoint / name).write_bytes(b"v1\n{}" if name != "offsets/2" else b"")
    remedy = f"Stop the job and remove the folder {checkpoint}: the job continues from its tables."
    numbers = [f"The file offsets/2 is empty. {remedy}", f"The batches 1 to 1 are missing in offsets. {remedy}"]
    missing, *others = doctor(wattcast, filled)[1]["ingest"]
    assert f"{checkpoint} is incomplete: its file metadata is missing" in missing
    assert others == numbers
    (checkpoint / "metadata").write_text('{"id": "q"}')
    lacking = f"The batches 0 to 0 are missing in received_readings. {remedy}"
    assert doctor(wattcast, filled) == (1, {"ingest": [*numbers, lacking]})
    shutil.rmtree(checkpoint)
    assert doctor(wattcast, filled) == (0, {})


def test_the_doctor_of_no_lake_says_so(wattcast: Wattcast, tmp_path: Path) -> None:
    result = wattcast("--state", str(tmp_path), "doctor", "--lake")
    assert (result.status, "has no tables" in result.line) == (2, True)
