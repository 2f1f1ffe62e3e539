"""The tables of a lake without Spark: where they are and how they are opened, here or in S3."""

import os
import re

import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

PATIENCE = {"timeout": "10s", "connect_timeout": "3s", "max_retries": "2", "retry_timeout": "15s"}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class TableUnreadable(ValueError):
    """A table that is not there or cannot be read, with the reason in a sentence."""


def place(lake_uri: str) -> tuple[str, dict[str, str]]:
    """Where a lake is and how it is opened there: a local folder, or S3, which is signed in to with the variables of AWS."""
    scheme, found, rest = lake_uri.partition("://")
    if not found or scheme == "file":
        return rest or lake_uri, {}
    plain = {"aws_allow_http": "true"} if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://") else {}
    return f"{'s3' if scheme in ('s3a', 's3n') else scheme}://{rest}", PATIENCE | plain


def table(lake_uri: str, name: str) -> ds.Dataset:
    """The newest version of a table.

    Raises:
        TableUnreadable: it cannot be read.
    """
    uri, options = place(lake_uri)
    try:
        return DeltaTable(f"{uri}/{name}", storage_options=options).to_pyarrow_dataset()
    except (DeltaError, OSError) as error:
        raise TableUnreadable(f"The table {name} of the lake cannot be read: {reason(error)}") from error


def reason(error: Exception) -> str:
    """What an error of a table says innermost, in its first line and without colours."""
    said = COLOURS.sub("", str(error)).split("↳")[-1].strip() or type(error).__name__
    return said.splitlines()[0]
