"""The search space of tuning: conf/tuning.yaml, typed, without values that training would refuse or that change the metric."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from optuna import Trial
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from wattcast_models.training.options import Count, TrainingOptions, read_yaml_mapping, validation_message, with_changes

# The validation data and the length of a run must be the same in all trials, or their losses could not be compared.
FIXED = (
    "quantiles",
    "lead_hours",
    "validation_share",
    "steps",
    "minutes",
    "check_every_steps",
    "patience_checks",
    "seed",
)


@dataclass(frozen=True, config={"extra": "forbid"})
class OptionRange:
    """The values of an option: from `low` to `high`, both included, or one of `choices`."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False  # uniform in the logarithm
    step: Count | None = None  # of integers, starting at low
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _are_a_range_or_choices(self) -> Self:
        if self.choices:
            if (self.low, self.high, self.log, self.step) != (None, None, False, None):
                raise ValueError("choices come without low, high, log and step")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("give low and a higher high, or choices")
        elif self.log and (self.low <= 0 or self.step):
            raise ValueError("log needs a low above 0 and no step")
        elif self.step and (not self._is_integer or (self.high - self.low) % self.step):
            raise ValueError("step needs integers, and high a number of steps above low")
        return self

    @property
    def _is_integer(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def examples(self) -> tuple[Any, ...]:
        """The choices, or values that are valid only if the whole range is: its ends and the second value."""
        second = (self.low + (self.step or 1),) if self._is_integer and self.low is not None else ()
        return self.choices or (self.low, *second, self.high)

    def suggest(self, trial: Trial, name: str) -> object:
        """A value for this trial. Optuna stores a choice as JSON, since it may be a list."""
        if self.choices:
            return self.decode(trial.suggest_categorical(name, [json.dumps(choice) for choice in self.choices]))
        assert self.low is not None
        assert self.high is not None
        if self._is_integer:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log, step=self.step or 1)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def decode(self, stored: Any) -> object:
        """The value of a parameter that Optuna stored."""
        return json.loads(stored) if self.choices else stored


@dataclass(frozen=True, config={"extra": "forbid"})
class SearchSpace:
    """The options in which trials differ, and how long each trial trains."""

    trial_steps: Count
    check_every_steps: Count
    options: Annotated[dict[str, OptionRange], Field(min_length=1)]

    def trial_options(self, base: TrainingOptions) -> TrainingOptions:
        """The options that all trials share."""
        return with_changes(base, {"steps": self.trial_steps, "check_every_steps": self.check_every_steps})


def read_search_space(file: Path, base: TrainingOptions) -> SearchSpace:
    """The search space of a YAML file; ValueError if it is not valid with these options, OSError if there is no file."""
    try:
        space = TypeAdapter(SearchSpace).validate_python(read_yaml_mapping(file))
    except ValidationError as error:
        raise ValueError(validation_message(error, file.name)) from error
    if fixed := [name for name in space.options if name in FIXED]:
        raise ValueError(f"{file.name}: {', '.join(fixed)} must be the same in all trials and cannot be searched.")
    for name, values in space.options.items():
        for value in values.examples:
            with_changes(base, {name: value})
    return space
