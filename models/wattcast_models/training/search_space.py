"""Where tuning looks: conf/tuning.yaml, typed, and nothing in it that training would refuse or that moves the yardstick."""

import json
from pathlib import Path
from typing import Annotated, Any, Self

from optuna import Trial
from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from wattcast_models.options import Count, TrainingOptions, changed, read_mapping, sentences

# What the loss is measured on, and how long a run is, must be the same in all trials.
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
class Values:
    """What an option may be: from `low` to `high`, both included, or one of `choices`."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False  # as often in each decade
    step: Count | None = None  # of whole numbers, from low on
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
        elif self.step and (not self._is_whole or (self.high - self.low) % self.step):
            raise ValueError("step needs whole numbers, and high a number of steps above low")
        return self

    @property
    def _is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def examples(self) -> tuple[Any, ...]:
        """The choices, or values of the range that are right only if all of it is."""
        second = (self.low + (self.step or 1),) if self._is_whole and self.low is not None else ()
        return self.choices or (self.low, *second, self.high)

    def suggest(self, trial: Trial, name: str) -> object:
        """A value for this trial; a choice is kept as JSON, since it may be a list."""
        if self.choices:
            return self.read(trial.suggest_categorical(name, [json.dumps(choice) for choice in self.choices]))
        assert self.low is not None
        assert self.high is not None
        if self._is_whole:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log, step=self.step or 1)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def read(self, kept: Any) -> object:
        """The value that a trial keeps."""
        return json.loads(kept) if self.choices else kept


@dataclass(frozen=True, config={"extra": "forbid"})
class Space:
    """What the trials differ in, and how long each trains."""

    trial_steps: Count
    check_every_steps: Count
    options: Annotated[dict[str, Values], Field(min_length=1)]

    def trial_options(self, base: TrainingOptions) -> TrainingOptions:
        """What is the same in all trials."""
        return changed(base, {"steps": self.trial_steps, "check_every_steps": self.check_every_steps})


def read_space(file: Path, base: TrainingOptions) -> Space:
    """The space of a YAML file; ValueError says what is wrong with it beside these options, OSError when there is no file."""
    try:
        space = TypeAdapter(Space).validate_python(read_mapping(file))
    except ValidationError as error:
        raise ValueError(sentences(error, file.name)) from error
    if fixed := [name for name in space.options if name in FIXED]:
        raise ValueError(f"{file.name}: {', '.join(fixed)} must be the same in all trials and cannot be searched.")
    for name, values in space.options.items():
        for value in values.examples:
            changed(base, {name: value})
    return space
