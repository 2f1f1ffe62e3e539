"""The body of POST /v1/forecasts: its pydantic models, and the parser that bounds the work for a bad body."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self
from zoneinfo import available_timezones

from fastapi.exceptions import RequestValidationError
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from wattcast.contracts import contract
from wattcast.forecast.columns import USAGE_COLUMNS
from wattcast.serving.on_demand.json_body import NotJson, json_content
from wattcast.serving.problems import Problem
from wattcast.serving.schemas.parameters import MAX_ID_LENGTH, Instant, Text

MAX_LEAD_HOURS = 168
MAX_READINGS, MAX_MEMBERS = 50_000, 20
MAX_VALUES = 6 * MAX_READINGS
DEFAULT_BUILDING_ID = "unnamed"

EXAMPLE: dict[str, Any] = {
    "building": {"timezone": "Europe/London", "country": "GB", "building_type": "office"},
    "readings": [
        {"measured_at": "2026-03-14T22:00:00Z", "energy_usage_kwh": 12.5, "temperature_c": 7.5},
        {"measured_at": "2026-03-14T23:00:00Z", "energy_usage_kwh": 11.75, "temperature_c": 7.0},
    ],
    "lead_hours": 24,
}


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"the time zone {name} does not exist")
    return name


class RequestBuilding(BaseModel):
    """What the client knows about the building. More details give a better forecast. `ForecastRequestParser` adds the limits of
    the data contract to its id."""

    model_config = ConfigDict(extra="forbid")
    building_id: Text = DEFAULT_BUILDING_ID
    site: Annotated[Text, Field(max_length=MAX_ID_LENGTH)] = ""
    timezone: Annotated[Text, Field(max_length=64), AfterValidator(_known_zone)] = "UTC"
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


class RequestReading(BaseModel):
    """A reading. `ForecastRequestParser` adds the limits of the data contract to its values."""

    model_config = ConfigDict(extra="forbid")
    measured_at: Instant
    energy_usage_kwh: float
    temperature_c: float | None = None
    humidity_pct: float | None = None
    occupancy: float | None = None


class ForecastRequest(BaseModel):
    """Readings to forecast from. The forecast begins with the hour after the newest reading."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [EXAMPLE]})
    building: RequestBuilding = RequestBuilding()
    readings: list[RequestReading]
    lead_hours: Annotated[int | None, Field(ge=1, le=MAX_LEAD_HOURS)] = None

    @field_validator("readings")
    @classmethod
    def negative_where_allowed(cls, readings: list[RequestReading], info: ValidationInfo) -> list[RequestReading]:
        building = info.data.get("building")
        is_refused = building is not None and not building.allows_negative_energy
        if is_refused and any(reading.energy_usage_kwh < 0 for reading in readings):
            raise ValueError("energy_usage_kwh is negative, which building.allows_negative_energy does not allow")
        return readings


class ForecastRequestParser:
    """Parses request bodies by the limits of the contract of readings; built with the app, since it reads the contract."""

    def __init__(self, limits: Mapping[str, Mapping[str, Any]]) -> None:
        self._model = _limited_model(limits)

    @classmethod
    def from_contract(cls) -> Self:
        return cls({column.name: column.limits for column in contract("readings").columns})

    def json_schema(self) -> dict[str, Any]:
        """The schema of the body, without references."""
        return inlined(self._model.model_json_schema())

    def parse(self, body: bytes) -> ForecastRequest:
        """The request in a body. Cheap checks come first: while Python parses JSON or validates it, no other request runs.

        Raises:
            Problem, RequestValidationError: the body is not valid.
        """
        if body.count(b",") > MAX_VALUES:
            raise Problem(422, f"body: it contains more than {MAX_VALUES:,} values.")
        try:
            content = json_content(body)
        except NotJson as error:
            raise Problem(422, f"body: {error}") from error
        if any(isinstance(item, dict) and len(item) > MAX_MEMBERS for item in _possible_objects(content)):
            raise Problem(422, f"body: an object has more than {MAX_MEMBERS} members.")
        try:
            return self._model.model_validate(content)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
            raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in errors]) from error


def _limited_model(limits: Mapping[str, Mapping[str, Any]]) -> type[ForecastRequest]:
    """ForecastRequest with the limits of the id and of each value, and at most MAX_READINGS readings. A number must be sent as a
    number, as in a message."""
    values: dict[str, Any] = {}
    for name in USAGE_COLUMNS:
        limit = Field(ge=limits[name]["minimum"], le=limits[name]["maximum"], allow_inf_nan=False, strict=True)
        is_required = RequestReading.model_fields[name].is_required()
        limited = Annotated[float, limit]
        values[name] = (limited, ...) if is_required else (limited | None, None)
    reading: Any = create_model("RequestReading", __base__=RequestReading, **values)
    readings = Annotated[list[reading], Field(min_length=1, max_length=MAX_READINGS), FailFast()]
    of_id = limits["building_id"]
    name = Field(min_length=of_id["minLength"], max_length=of_id["maxLength"], pattern=of_id["pattern"])
    building: Any = create_model(
        "RequestBuilding", __base__=RequestBuilding, building_id=(Annotated[Text, name], DEFAULT_BUILDING_ID)
    )
    return create_model(
        "ForecastRequest", __base__=ForecastRequest, building=(building, building()), readings=(readings, ...)
    )


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON schema with its definitions in place of the references to them."""
    definitions = schema.pop("$defs", {})

    def without_references(part: Any) -> Any:
        if isinstance(part, list):
            return [without_references(item) for item in part]
        if not isinstance(part, dict):
            return part
        definition = definitions.get(str(part.get("$ref", "")).rpartition("/")[2], {})
        return {name: without_references(value) for name, value in (definition | part).items() if name != "$ref"}

    result: dict[str, Any] = without_references(schema)
    return result


def _possible_objects(content: Any) -> Iterator[Any]:
    """The parts of a body that may be objects."""
    yield content
    if isinstance(content, dict):
        yield content.get("building")
        readings = content.get("readings")
        yield from readings if isinstance(readings, list) else ()
