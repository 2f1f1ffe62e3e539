"""POST /v1/forecasts: a forecast on readings that the caller sends, by the methods and the model of the forecast job."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import available_timezones

import numpy as np
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from wattcast.contracts import contract
from wattcast.ladder import Building, Context, Predictor, forecast
from wattcast.ladder import Forecast as Made
from wattcast.serving.asked import LONGEST_ID, Instant, Server, Text
from wattcast.serving.formats import as_json
from wattcast.serving.problems import Problem, Unavailable
from wattcast.serving.schemas import Forecast
from wattcast.settings import Settings

router = APIRouter(tags=["forecasts"])

VALUES = ("energy_usage_kwh", "temperature_c", "humidity_pct", "occupancy")
LIMITS = {column.name: column.limits for column in contract("readings").columns}
HOUR = timedelta(hours=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORECAST_SECONDS, MAX_LEAD_HOURS = 60, 168
MOST_READINGS, MOST_MEMBERS = 50_000, 20
MOST_VALUES = 6 * MOST_READINGS
UNNAMED, NO_MODEL = "unnamed", "none"


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"there is no time zone {name}")
    return name


def _within(name: str) -> Any:
    return Field(ge=LIMITS[name]["minimum"], le=LIMITS[name]["maximum"], allow_inf_nan=False)


class AskedBuilding(BaseModel):
    """What is known of the building; the more, the better the forecast."""

    model_config = ConfigDict(extra="forbid")
    building_id: Annotated[Text, Field(min_length=1, max_length=LONGEST_ID)] = UNNAMED
    site: Annotated[Text, Field(max_length=LONGEST_ID)] = ""
    timezone: Annotated[Text, Field(max_length=64), AfterValidator(_zone)] = "UTC"
    country: Annotated[str, Field(pattern=r"^([A-Z]{2})?$", description="ISO 3166-1 alpha-2")] = ""
    building_type: Annotated[Text, Field(max_length=64)] = ""
    closures: Annotated[str, Field(pattern=r"^(\d\d-\d\d( \d\d-\d\d){0,365})?$")] = ""
    reading_interval_minutes: Annotated[
        int | None, Field(ge=1, le=60, description="Must divide 60; without it no hour counts as incomplete")
    ] = None
    allows_negative_energy: bool = False

    @field_validator("reading_interval_minutes")
    @classmethod
    def divides_an_hour(cls, value: int | None) -> int | None:
        if value is not None and 60 % value:
            raise ValueError("it must divide 60")
        return value


class AskedReading(BaseModel):
    model_config = ConfigDict(extra="forbid")
    measured_at: Instant
    energy_usage_kwh: Annotated[float, _within("energy_usage_kwh")]
    temperature_c: Annotated[float, _within("temperature_c")] | None = None
    humidity_pct: Annotated[float, _within("humidity_pct")] | None = None
    occupancy: Annotated[float, _within("occupancy")] | None = None


EXAMPLE: dict[str, Any] = {
    "building": {"timezone": "Europe/London", "country": "GB", "building_type": "office"},
    "readings": [
        {"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": 12.5, "temperature_c": 7.5},
        {"measured_at": "2026-03-14T23:00:00Z", "energy_usage_kwh": 11.75, "temperature_c": 7.0},
    ],
    "lead_hours": 24,
}


class Asked(BaseModel):
    """Readings to forecast on. The forecast begins with the hour after the newest reading."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})
    building: AskedBuilding = AskedBuilding()
    readings: Annotated[list[AskedReading], Field(min_length=1, max_length=MOST_READINGS), FailFast()]
    lead_hours: Annotated[int | None, Field(ge=1, le=MAX_LEAD_HOURS)] = None

    @field_validator("readings")
    @classmethod
    def negative_where_allowed(cls, readings: list[AskedReading], info: ValidationInfo) -> list[AskedReading]:
        building = info.data.get("building")
        if building and not building.allows_negative_energy and any(each.energy_usage_kwh < 0 for each in readings):
            raise ValueError("energy_usage_kwh is negative, which building.allows_negative_energy does not allow")
        return readings


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema with its definitions in the places where they are referred to."""
    definitions = schema.pop("$defs", {})

    def put(part: Any) -> Any:
        if isinstance(part, list):
            return [put(each) for each in part]
        if not isinstance(part, dict):
            return part
        named = definitions.get(str(part.get("$ref", "")).rpartition("/")[2], {})
        return {name: put(value) for name, value in (named | part).items() if name != "$ref"}

    found: dict[str, Any] = put(schema)
    return found


@router.post(
    "/v1/forecasts", response_model=Forecast, summary="A forecast on readings that you send",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": inlined(Asked.model_json_schema())}}}
    },
)  # fmt: skip
async def post(request: Request, server: Server) -> Response:
    """It is not stored, and has no `forecast_id`. Of several readings of one time the last counts."""
    if server.forecaster is None:
        raise Unavailable("This server forecasts nothing itself.")
    with server.bodies.one():
        body = await _whole(request)
    with server.posts.one():
        async with server.turn:
            asked, context = await asyncio.to_thread(_understood, body, server.settings)
        model = await asyncio.to_thread(server.forecaster.model_of, asked.building.building_id, asked.building.site)
        async with server.turn:
            made = await _made(server, context, model)
    return Response(as_json(_answer(asked, context, model, made)), media_type="application/json")


async def _whole(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "The body did not come as a whole.") from error


def _understood(body: bytes, settings: Settings) -> tuple[Asked, Context]:
    asked = read(body)
    return asked, context_of(asked, settings)


def read(body: bytes) -> Asked:
    """What is asked for. Little is done for a body that cannot be right, since Python lets nobody else run meanwhile.

    Raises:
        Problem, RequestValidationError: it is not what it should be.
    """
    if body.count(b",") > MOST_VALUES:
        raise Problem(422, f"body: it holds more than {MOST_VALUES:,} values.")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(422, "body: it is no JSON.") from error
    if any(isinstance(each, dict) and len(each) > MOST_MEMBERS for each in _objects(found)):
        raise Problem(422, f"body: an object has more than {MOST_MEMBERS} members.")
    try:
        return Asked.model_validate(found)
    except ValidationError as error:
        told = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in told]) from error


def _objects(found: Any) -> Iterator[Any]:
    """What may be an object in a body."""
    yield found
    if isinstance(found, dict):
        yield found.get("building")
        readings = found.get("readings")
        yield from readings if isinstance(readings, list) else ()


async def _made(server: Any, context: Context, model: Predictor | None) -> Made:
    """By the process that holds the model, one at a time."""
    work = partial(asyncio.get_running_loop().run_in_executor, server.forecaster.executor())
    try:
        (made,) = await asyncio.wait_for(work(forecast, [context], model), FORECAST_SECONDS)
    except BrokenProcessPool as error:
        raise Unavailable("The process that forecasts has ended; another one begins: ask again.") from error
    except TimeoutError as error:
        server.forecaster.end()
        raise Unavailable(f"The forecast took longer than {FORECAST_SECONDS} seconds.") from error
    return made


def context_of(asked: Asked, settings: Settings) -> Context:
    """The hours of the readings, as the jobs make them: sums of energy, means of the others, gaps where readings are missing."""
    newest = {reading.measured_at: reading for reading in asked.readings}
    origin = (max(newest) - EPOCH) // HOUR + 1
    hours = settings.forecasting.context_hours
    first = origin - hours
    values: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts: Counter[int] = Counter()
    for time, reading in newest.items():
        row = (time - EPOCH) // HOUR - first
        if row >= 0:
            counts[row] += 1
            for name in VALUES:
                if (value := getattr(reading, name)) is not None:
                    values[row][name].append(value)
    interval = asked.building.reading_interval_minutes
    past = np.full((hours, len(VALUES)), np.nan)
    for row, by_name in values.items():
        is_whole = interval is None or counts[row] * interval >= 60
        past[row] = [
            (sum(found) if is_whole else np.nan) if name == VALUES[0] else np.mean(found) if found else np.nan
            for name in VALUES
            for found in [by_name[name]]
        ]
    about = asked.building.model_dump(include={"building_id", "timezone", "country", "building_type", "closures"})
    leads = asked.lead_hours or settings.forecasting.lead_hours
    is_known = "building" in asked.model_fields_set
    return Context(Building(**about, is_known=is_known), origin, past, np.full((leads, 2), np.nan))


def _answer(asked: Asked, context: Context, model: Predictor | None, made: Made) -> dict[str, Any]:
    origin, now = EPOCH + context.origin * HOUR, datetime.now(UTC)
    levels = ("p10_kwh", "p50_kwh", "p90_kwh")
    hours = [
        {"target_hour": origin + lead * HOUR, "lead_hours": lead + 1, **dict(zip(levels, kwh, strict=True))}
        for lead, kwh in enumerate(made.quantiles_kwh.tolist())
    ]
    return {
        "forecast_id": None, "building_id": asked.building.building_id, "origin": origin, "issued_at": now, "created_at": now,
        "method": made.method, "model_name": model.name if model else NO_MODEL,
        "model_version": model.version if model else NO_MODEL, "warnings": list(made.warnings), "age_seconds": 0,
        "is_stale": False, "hours": hours,
    }  # fmt: skip
