"""Where rows are: Parquet and CSV files and Delta tables, read in batches, so that memory does not grow with them."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyarrow import csv

from wattcast_models.features import CONTEXT_INPUTS

ROWS_AT_ONCE = 500_000
S3 = ("s3:", "s3a:")  # as a Path has them, which holds `s3a://bucket/lake` as `s3a:/bucket/lake`


def dataset(data: Path, version: int | None = None) -> ds.Dataset:
    """A Parquet or CSV file, or a Delta table, at `version` or the newest: a local folder, or a place in S3 (`s3a://...`), which
    is signed in to with the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL.

    FileNotFoundError for what is not there, ValueError or OSError for what cannot be read.
    """
    if not (is_remote(data) or data.exists()):
        raise FileNotFoundError(f"{data} does not exist.")
    if is_table(data):
        with _told(data):
            return _table(data, version).to_pyarrow_dataset()
    if version is not None:
        raise ValueError(f"{data.name} is no Delta table, which alone has versions.")
    if ".csv" not in data.suffixes:
        return ds.dataset(data, format="parquet")
    types = {"building_id": pa.string(), **dict.fromkeys(CONTEXT_INPUTS, pa.float64())}
    return ds.dataset(data, format=ds.CsvFileFormat(convert_options=csv.ConvertOptions(column_types=types)))


def is_table(data: Path) -> bool:
    return is_remote(data) or (data / "_delta_log").is_dir()


def is_remote(data: Path) -> bool:
    """Whether it is in S3."""
    return data.parts[:1] != () and data.parts[0] in S3


def newest_version(data: Path) -> int | None:
    """The version that is the newest of a Delta table, to read the same rows again by it; None for a file."""
    if not is_table(data):
        return None
    with _told(data):
        return int(_table(data).version())


def _table(data: Path, version: int | None = None) -> DeltaTable:
    if not is_remote(data):
        return DeltaTable(data, version=version)
    is_plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    options = {"aws_allow_http": "true"} if is_plain else {}  # all else deltalake takes from the variables itself
    return DeltaTable(f"s3://{'/'.join(data.parts[1:])}", version=version, storage_options=options)


def batches(found: ds.Dataset, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The rows in the order of the files, in those of `columns` that there are, at most ROWS_AT_ONCE at a time.

    A row group of a Parquet file is held whole: one of many million rows needs the memory for it.
    """
    held: list[pa.RecordBatch] = []
    for batch in _record_batches(found, [name for name in columns if name in found.schema.names]):
        if held and sum(map(len, held)) + len(batch) > ROWS_AT_ONCE:
            yield _taken(held)
        held.append(batch)
    if held:
        yield _taken(held)


def _record_batches(found: ds.Dataset, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """In parts of a file, since a scan of all of it reads far ahead of whoever takes the batches."""
    for file in found.get_fragments():
        if isinstance(file, ds.ParquetFileFragment):
            for row_group in file.split_by_row_group():
                yield from row_group.to_batches(schema=found.schema, columns=columns, batch_size=ROWS_AT_ONCE)
        else:
            options = csv.ConvertOptions(column_types=found.schema, include_columns=columns)
            yield from csv.open_csv(file.path, convert_options=options)


def _taken(held: list[pa.RecordBatch]) -> pd.DataFrame:
    rows: pd.DataFrame = pa.Table.from_batches(held).to_pandas()
    held.clear()
    return rows


@contextmanager
def _told(data: Path) -> Iterator[None]:
    try:
        yield
    except (DeltaError, OSError) as error:
        *_, reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split(
            "↳"
        )  # of an object store: the innermost, without colours
        raise ValueError(f"{data.name} cannot be read: {reason.strip()}") from error
