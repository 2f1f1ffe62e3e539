"""Rows in batches: bounded in memory whatever the file, and Delta tables beside files."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from wattcast_models.data import sources
from wattcast_models.data.sources import batches, dataset, newest_version

MEGABYTES = 44
READ = """
import resource, sys
from pathlib import Path
import pyarrow
from wattcast_models.data import sources
from wattcast_models.data.readings import read_buildings

pyarrow.set_cpu_count(1)
sources.ROWS_AT_ONCE = 20_000
data, store, megabytes = sys.argv[1:]
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
limit = (int(status["VmData"].split()[0]) << 10) + (int(megabytes) << 20)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))  # private memory: mapped files do not count
try:
    buildings = read_buildings(Path(data), store=Path(store) if store else None)
except MemoryError:
    sys.exit("out of memory")
print(len(buildings), sum(building.hours for building in buildings), float(buildings[-1].values[-1].sum()))
"""


def read_in_a_child(data: Path, store: Path | str) -> tuple[str, str]:
    """What a process with MEGABYTES more than it has after its imports says, and its errors."""
    allocators = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "200000"}
    environment = os.environ | allocators | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", READ, str(data), str(store), str(MEGABYTES)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.strip(), done.stderr.strip()


def hourly(number: int, hours: int) -> pa.Table:
    first = np.datetime64("2000-01-01T00", "us")
    columns = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")
    values = {name: np.full(hours, number + 1.0) + np.arange(hours) for name in columns}
    moments = pa.array(first + np.arange(hours) * np.timedelta64(1, "h"), pa.timestamp("us", "UTC"))
    return pa.table({"timestamp": moments, "building_id": pa.array([f"b{number:02}"] * hours), **values})


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is that of Linux")
def test_a_file_larger_than_memory_is_read_into_a_folder_but_not_into_memory(tmp_path: Path) -> None:
    data, hours = tmp_path / "readings.parquet", 20_000
    rows = pa.concat_tables([hourly(number, hours) for number in range(50)])
    pq.write_table(rows, data, row_group_size=hours, compression="none", use_dictionary=False)
    assert data.stat().st_size > MEGABYTES << 20
    output, errors = read_in_a_child(data, tmp_path / "store")
    assert output == f"50 {50 * hours} {4 * (50 + hours - 1.0)}", errors
    assert list((tmp_path / "store").iterdir()) == []
    assert read_in_a_child(data, "") == ("", "out of memory")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
@pytest.mark.parametrize("rows_at_once", [1, 7, 1000])
def test_batches_have_all_rows_in_order_and_never_more_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, rows_at_once: int
) -> None:
    rows = pd.DataFrame({"building_id": [f"b{number % 3}" for number in range(40)], "occupancy": np.arange(40.0)})
    rows.to_csv(tmp_path / "a.csv", index=False)
    rows.to_parquet(tmp_path / "a.parquet", row_group_size=3)
    monkeypatch.setattr(sources, "ROWS_AT_ONCE", rows_at_once)
    parts = list(batches(dataset(tmp_path / f"a.{ending}"), ["building_id", "occupancy", "absent"]))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), rows)
    most = 40 if ending == "csv" else rows_at_once  # a block of a CSV is never cut
    assert max(map(len, parts)) <= most
    assert len(parts) == {("parquet", 1): 40, ("parquet", 7): 7}.get((ending, rows_at_once), 1)


def test_a_table_is_read_at_its_newest_version_or_at_the_one_named(tmp_path: Path) -> None:
    table = tmp_path / "hourly_usage"
    for number in range(3):
        write_deltalake(table, pa.table({"building_id": [f"b{number}"]}), mode="append")
    assert newest_version(table) == 2
    row_counts = [dataset(table, version).count_rows() for version in (None, 0, 1, 2)]
    assert row_counts == [3, 1, 2, 3]
    with pytest.raises(ValueError, match="hourly_usage cannot be read"):
        dataset(table, 3)


def test_a_file_has_no_versions(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("building_id\nb\n")
    assert newest_version(tmp_path / "a.csv") is None
    with pytest.raises(ValueError, match=r"a\.csv is not a Delta table"):
        dataset(tmp_path / "a.csv", 1)


def test_a_folder_that_only_looks_like_a_table_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    for read in (dataset, newest_version):
        with pytest.raises(ValueError, match="cannot be read"):
            read(tmp_path)


def test_a_table_in_s3_that_cannot_be_reached_is_a_one_line_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"^hourly_usage cannot be read: Connection refused[^\n]*$"):
        newest_version(Path("s3a://bucket/lake") / "hourly_usage")
