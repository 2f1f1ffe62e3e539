"""What all response bodies share: strict items, pages of items, problems and the status of the server."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

Method = Literal["model", "weekly_profile", "last_known_profile", "type_prior"]

T = TypeVar("T")


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


def example(**values: Any) -> ConfigDict:
    """The configuration of an item whose schema shows these values as its example."""
    return ConfigDict(extra="forbid", protected_namespaces=(), json_schema_extra={"examples": [values]})


class Page(BaseModel, Generic[T]):
    """One page of a list. `next_cursor` fetches the next page; it is null on the last one."""

    items: list[T]
    next_cursor: str | None


class ProblemBody(BaseModel):
    """An error, RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "There is no building nowhere."}
            ]
        }
    )
    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = []


class ServerStatus(Item):
    """Whether the server can answer, and which problems it has."""

    status: Literal["ready", "degraded", "starting", "stopped"]
    as_of: datetime | None
    snapshot_age_seconds: float | None
    problems: dict[str, str]
