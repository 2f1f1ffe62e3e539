"""Reads the tables of a lake without Spark, from a local folder or from S3."""

import os
import re

import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from deltalake.fs import DeltaStorageHandler
from pyarrow import fs

TIMEOUTS = {"timeout": "10s", "connect_timeout": "3s", "max_retries": "2", "retry_timeout": "15s"}
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")


class TableUnreadable(ValueError):
    """A table that does not exist or cannot be read, with the reason."""


def lake_location(lake_uri: str) -> tuple[str, dict[str, str]]:
    """The location of a lake and its storage options: a local folder, or S3, with credentials from the AWS variables."""
    scheme, separator, rest = lake_uri.partition("://")
    if not separator or scheme == "file":
        return rest or lake_uri, {}
    http = {"aws_allow_http": "true"} if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://") else {}
    return f"{'s3' if scheme in ('s3a', 's3n') else scheme}://{rest}", TIMEOUTS | http


def table(lake_uri: str, name: str) -> ds.Dataset:
    """The newest version of a table.

    Raises:
        TableUnreadable: it cannot be read.
    """
    uri, options = lake_location(lake_uri)
    try:
        return DeltaTable(f"{uri}/{name}", storage_options=options).to_pyarrow_dataset()
    except (DeltaError, OSError) as error:
        raise TableUnreadable(f"The table {name} of the lake cannot be read: {reason(error)}") from error


def reason(error: Exception) -> str:
    """The first line of the innermost message of a table error, without colour codes."""
    message = COLOUR_CODES.sub("", str(error)).split("↳")[-1].strip() or type(error).__name__
    return message.splitlines()[0]


class UriStorage:
    """Files of a local folder or of an object store, without Spark. A folder that does not exist is empty."""

    def __init__(self, root: str) -> None:
        self.root = root
        location, options = lake_location(root)
        is_local = "://" not in location
        self._system = (
            fs.SubTreeFileSystem(location, fs.LocalFileSystem())
            if is_local
            else fs.PyFileSystem(DeltaStorageHandler(location, options))
        )

    def sizes(self, folder: str) -> dict[str, int]:
        return {info.base_name: info.size for info in self._entries(folder) if info.is_file}

    def folders(self, folder: str) -> list[str]:
        """The names of the folders directly in a folder."""
        return sorted(info.base_name for info in self._entries(folder) if not info.is_file)

    def read(self, file: str) -> bytes:
        with self._system.open_input_stream(file) as stream:
            return bytes(stream.read())

    def _entries(self, folder: str) -> list[fs.FileInfo]:
        return list(self._system.get_file_info(fs.FileSelector(folder, allow_not_found=True)))
