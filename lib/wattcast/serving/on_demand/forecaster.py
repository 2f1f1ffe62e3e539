"""What the API needs of models: their predictors, the process that runs them, and the registry's list of versions."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime

from wattcast.forecast.context import Predictor


@dataclass(frozen=True)
class RegisteredModel:
    """A model version in the registry."""

    model_name: str
    model_version: str
    aliases: tuple[str, ...] = ()
    scope: str | None = None
    trained_at: datetime | None = None
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Forecaster:
    """Forecasts readings that a client posts. `model_of` returns the model of a building by its id and site, `executor` the
    process that runs it; `registered` returns the versions in the registry, None where it does not answer; `terminate` ends a
    forecast that takes too long."""

    model_of: Callable[[str, str], Predictor | None]
    executor: Callable[[], Executor]
    registered: Callable[[], list[RegisteredModel] | None]
    terminate: Callable[[], None] = lambda: None
