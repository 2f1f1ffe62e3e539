"""Access to MLflow: imported at the first use, without its log output, with short timeouts, and with one-sentence errors."""

import logging
import os
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

SQLITE = "sqlite:///"
TIMEOUT_SECONDS = 5
QUIET = ("mlflow", "alembic", "urllib3", "sqlalchemy")
ENVIRONMENT = {  # defaults: a value that the user has set stays
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT_SECONDS),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # callers continue without an answer and ask again later
}
MAX_REASON_LENGTH = 200


class StoreError(ValueError):
    """MLflow did not answer, or its answer is invalid; the message names the address and the reason."""


class NotInStore(StoreError):
    """The requested entry does not exist in MLflow."""


def with_client(uri: str, request: Callable[["MlflowClient"], T]) -> T:
    """The result of `request` with the client of this store; every failure of MLflow becomes a StoreError."""
    _configure()
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return request(_client(uri))
    except MlflowException as error:
        kind = NotInStore if error.error_code == "RESOURCE_DOES_NOT_EXIST" else StoreError
        raise kind(_sentence(uri, error)) from error
    except (
        SQLAlchemyError,
        sqlite3.Error,
        ParseError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise StoreError(_sentence(uri, error)) from error


def store_exists(uri: str) -> bool:
    """Whether the store may have entries; False only for a SQLite store without a file. Does not import MLflow."""
    return not uri.startswith(SQLITE) or Path(uri.removeprefix(SQLITE)).is_file()


def experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """The id of an experiment, which is created if missing; a SQLite store keeps the files of its runs beside its file."""
    from mlflow.exceptions import MlflowException

    if (existing := client.get_experiment_by_name(name)) is None:
        folder = Path(uri.removeprefix(SQLITE)).parent / "artifacts" if uri.startswith(SQLITE) else None
        with suppress(MlflowException):  # another process has created it in between
            return str(client.create_experiment(name, artifact_location=folder and folder.as_uri()))
        existing = client.get_experiment_by_name(name)
    return str(existing.experiment_id)


def redact(uri: str) -> str:
    """The address without user and password."""
    parts = urlsplit(uri)
    return uri.replace(f"{parts.username or ''}:{parts.password}@", "") if parts.password else uri


def _client(uri: str) -> "MlflowClient":
    """A client; MLflow itself keeps the store of an address, so that a further client costs nothing."""
    from mlflow import MlflowClient

    if uri.startswith(SQLITE):
        Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(uri, uri)


def _configure() -> None:
    """Import MLflow quietly; repeating it costs nothing."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import_module("mlflow")  # sets up the loggers

    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _sentence(uri: str, error: BaseException) -> str:
    """A sentence with the innermost reason of the operating system, else with the first line of the error."""
    chain: list[BaseException] = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    reasons = [cause.strerror for cause in chain if isinstance(cause, OSError) and cause.strerror]
    lines = str(error).splitlines() or [type(error).__name__]
    reason = reasons[-1] if reasons else lines[0]
    shortened = reason.replace(uri, redact(uri))[:MAX_REASON_LENGTH]
    return f"The model registry at {redact(uri)} does not answer correctly: {shortened}"
