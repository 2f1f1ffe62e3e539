"""MLflow as a library: imported when it is first asked, silent, impatient, and its errors are one sentence."""

import logging
import os
import sqlite3
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

SQLITE = "sqlite:///"
TIMEOUT_SECONDS = 5
QUIET = ("mlflow", "alembic", "urllib3", "sqlalchemy")
ENVIRONMENT = {  # what a user has set stays
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": str(TIMEOUT_SECONDS),
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",  # who asks goes on without an answer, and asks again later
}
SAID_LETTERS = 200


class StoreError(ValueError):
    """MLflow did not answer, or not sensibly; the message says where and what."""


class NotInStore(StoreError):
    """MLflow answered that there is no such thing."""


def asked(uri: str, question: Callable[["MlflowClient"], T]) -> T:
    """What `question` gets from the client of this store; every failure of MLflow is a StoreError."""
    _configure()
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return question(_client(uri))
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


def is_begun(uri: str) -> bool:
    """False only for an embedded store that nobody has written to: so MLflow need not be imported to find nothing."""
    return not uri.startswith(SQLITE) or Path(uri.removeprefix(SQLITE)).is_file()


def experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """The id of an experiment, made if need be; an embedded store keeps the files of its runs beside itself."""
    from mlflow.exceptions import MlflowException

    if (found := client.get_experiment_by_name(name)) is None:
        folder = Path(uri.removeprefix(SQLITE)).parent / "artifacts" if uri.startswith(SQLITE) else None
        with suppress(MlflowException):  # another process made it in between
            return str(client.create_experiment(name, artifact_location=folder and folder.as_uri()))
        found = client.get_experiment_by_name(name)
    return str(found.experiment_id)


def shown(uri: str) -> str:
    """The address without the password that may be in it."""
    parts = urlsplit(uri)
    return uri.replace(f"{parts.username or ''}:{parts.password}@", "") if parts.password else uri


@cache
def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    if uri.startswith(SQLITE):
        Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(uri, uri)


@cache
def _configure() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401  # it sets its loggers up here

    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)


def _sentence(uri: str, error: BaseException) -> str:
    """The innermost reason that the system gives, such as a refused connection, else the first line of what MLflow says."""
    chain: list[BaseException] = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    reasons = [each.strerror for each in chain if isinstance(each, OSError) and each.strerror]
    reason = (reasons or str(error).splitlines() or [type(error).__name__])[-1 if reasons else 0]
    return f"The model registry at {shown(uri)} does not answer as it should: {reason.replace(uri, shown(uri))[:SAID_LETTERS]}"
