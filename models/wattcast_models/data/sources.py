"""Parquet and CSV files and Delta tables, read in batches so that memory does not grow with their size."""

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

from wattcast_models.features.raw_inputs import CONTEXT_INPUTS

ROWS_AT_ONCE = 500_000
S3 = ("s3:", "s3a:")  # first part of a path: Path("s3a://bucket/lake") is s3a:/bucket/lake


def dataset(data: Path, version: int | None = None) -> ds.Dataset:
    """A Parquet or CSV file, or a Delta table at `version` or the newest version.

    The table is a local folder or in S3 (`s3a://...`, with the credentials in the variables AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL). FileNotFoundError if it does not exist, ValueError or OSError if it
    cannot be read.
    """
    if not (is_remote(data) or data.exists()):
        raise FileNotFoundError(f"{data} does not exist.")
    if is_table(data):
        with _readable(data):
            return _table(data, version).to_pyarrow_dataset()
    if version is not None:
        raise ValueError(f"{data.name} is not a Delta table: only tables have versions.")
    if ".csv" not in data.suffixes:
        return ds.dataset(data, format="parquet")
    types = {"building_id": pa.string(), **dict.fromkeys(CONTEXT_INPUTS, pa.float64())}
    return ds.dataset(data, format=ds.CsvFileFormat(convert_options=csv.ConvertOptions(column_types=types)))


def is_table(data: Path) -> bool:
    return is_remote(data) or (data / "_delta_log").is_dir()


def is_remote(data: Path) -> bool:
    """Whether the path is in S3."""
    return data.parts[:1] != () and data.parts[0] in S3


def newest_version(data: Path) -> int | None:
    """The newest version of a Delta table, with which the same rows can be read again; None for a file."""
    if not is_table(data):
        return None
    with _readable(data):
        return int(_table(data).version())


def _table(data: Path, version: int | None = None) -> DeltaTable:
    if not is_remote(data):
        return DeltaTable(data, version=version)
    is_plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    options = {"aws_allow_http": "true"} if is_plain else {}  # deltalake reads everything else from the variables
    return DeltaTable(f"s3://{'/'.join(data.parts[1:])}", version=version, storage_options=options)


def batches(source: ds.Dataset, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The rows in the order of the files, at most ROWS_AT_ONCE at a time; columns that the source lacks are left out.

    A row group of a Parquet file is in memory as a whole, so one with many million rows needs the memory for it.
    """
    pending: list[pa.RecordBatch] = []
    for batch in _record_batches(source, [name for name in columns if name in source.schema.names]):
        if pending and sum(map(len, pending)) + len(batch) > ROWS_AT_ONCE:
            yield _to_pandas(pending)
            pending = []
        pending.append(batch)
    if pending:
        yield _to_pandas(pending)


def _record_batches(source: ds.Dataset, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """The batches file by file and row group by row group: a scan of the whole dataset reads ahead, far beyond ROWS_AT_ONCE."""
    for file in source.get_fragments():
        if isinstance(file, ds.ParquetFileFragment):
            for row_group in file.split_by_row_group():
                yield from row_group.to_batches(schema=source.schema, columns=columns, batch_size=ROWS_AT_ONCE)
        else:
            options = csv.ConvertOptions(column_types=source.schema, include_columns=columns)
            yield from csv.open_csv(file.path, convert_options=options)


def _to_pandas(record_batches: list[pa.RecordBatch]) -> pd.DataFrame:
    rows: pd.DataFrame = pa.Table.from_batches(record_batches).to_pandas()
    return rows


@contextmanager
def _readable(data: Path) -> Iterator[None]:
    """Turn errors of the Delta library into a ValueError with the innermost reason, without colour codes."""
    try:
        yield
    except (DeltaError, OSError) as error:
        *_, reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("↳")
        raise ValueError(f"{data.name} cannot be read: {reason.strip()}") from error
