"""What requests have in common: who serves, times with a zone, ids, pages."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request
from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from wattcast.serving.problems import Problem
from wattcast.serving.snapshot import Snapshot

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)
FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
LONGEST_ID = 128


def instant(text: Any) -> datetime:
    """A time with a zone, between 2000 and 2200, in UTC."""
    if isinstance(text, datetime):
        text = text.isoformat()
    if not isinstance(text, str) or not INSTANT.fullmatch(text):
        raise ValueError("a time has a date, an hour and a zone, such as 2026-03-15T00:00:00Z")
    try:
        time = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"there is no time {text}") from None
    if not FIRST <= time <= LAST:
        raise ValueError("a time lies between the years 2000 and 2200")
    return time


def _storable(text: str) -> str:
    """Text that a lake can hold: no half of a surrogate pair."""
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("it is no text")
    return text


TIME_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "pattern": f"^{INSTANT.pattern}$",
    "examples": ["2026-03-15T00:00:00Z"],
}
Instant = Annotated[datetime, BeforeValidator(instant), WithJsonSchema(TIME_SCHEMA)]
Text = Annotated[str, AfterValidator(_storable)]
From = Annotated[Instant | None, Query(alias="from", description="Included")]
To = Annotated[Instant | None, Query(alias="to", description="Not included")]
BuildingId = Annotated[Text, Path(min_length=1, max_length=LONGEST_ID, description="Building", examples=["town-hall"])]
Name = Annotated[Text | None, Query(min_length=1, max_length=LONGEST_ID)]
Limit = Annotated[
    int | None, Query(ge=1, le=1_000_000, description="Rows of a page; a larger page than is allowed is refused")
]
Cursor = Annotated[str | None, Query(max_length=2000, description="next_cursor of the page before")]


async def serving(request: Request) -> Any:
    return request.app.state.serving


async def snapshot(request: Request) -> Snapshot:
    found: Snapshot = request.app.state.serving.snapshot
    return found


Server = Annotated[Any, Depends(serving)]
Lake = Annotated[Snapshot, Depends(snapshot)]


def page_rows(limit: int | None, lake: Snapshot) -> int:
    """The rows of a page.

    Raises:
        Problem: more than the settings allow.
    """
    options = lake.settings.serving
    if limit is not None and limit > options.max_page_rows:
        raise Problem(
            422, f"A page has at most {options.max_page_rows} rows: ask for no more, and go on by next_cursor."
        )
    return limit or min(options.page_rows, options.max_page_rows)
