"""Types of request parameters: times with a zone, text that the lake can store, ids."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

from wattcast.times import MESSAGE_TIME

INSTANT = re.compile(MESSAGE_TIME)
MIN_TIME, MAX_TIME = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
MAX_ID_LENGTH = 128


def parse_instant(text: Any) -> datetime:
    """A time with a zone, between 2000 and 2200, in UTC."""
    if isinstance(text, datetime):
        text = text.isoformat()
    if not isinstance(text, str) or not INSTANT.fullmatch(text):
        raise ValueError("a time needs a date, an hour and a time zone, such as 2026-03-15T00:00:00Z")
    try:
        time = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"the time {text} does not exist") from None
    if not MIN_TIME <= time <= MAX_TIME:
        raise ValueError("a time must lie between the years 2000 and 2200")
    return time


def _storable(text: str) -> str:
    """Text without unpaired surrogates, which Parquet cannot store."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text is not valid Unicode")
    return text


INSTANT_SCHEMA = {
    "type": "string",
    "format": "date-time",
    "pattern": f"^{INSTANT.pattern}$",
    "examples": ["2026-03-15T00:00:00Z"],
}
Instant = Annotated[datetime, BeforeValidator(parse_instant), WithJsonSchema(INSTANT_SCHEMA)]
Text = Annotated[str, AfterValidator(_storable)]
