"""Training options: conf/training.yaml and what the command line says otherwise; typed, in range, unknown keys refused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from wattcast_models.bias import MOST_DAYS
from wattcast_models.features import DAY_HOURS
from wattcast_models.networks import ENSEMBLE, KINDS, QUANTILES

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Level = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, config={"extra": "forbid"})
class TrainingOptions:
    """What a training run does; every value is written into the artifact. ValueError for a value out of range."""

    members: tuple[str, ...] = ("mlp",)  # kinds of network; the mean of several forecasts
    hidden: Annotated[int, Field(ge=8, le=4096)] = 384
    summary: Annotated[int, Field(ge=4, le=4096, multiple_of=4)] = 64
    dropout: Share = 0.0
    quantiles: tuple[Level, ...] = QUANTILES
    context_hours: Annotated[int, Field(ge=7 * DAY_HOURS, le=366 * DAY_HOURS, multiple_of=DAY_HOURS)] = 56 * DAY_HOURS
    lead_hours: Annotated[int, Field(ge=1, le=7 * DAY_HOURS)] = 7 * DAY_HOURS
    steps: Count = 3000
    minutes: Annotated[float, Field(gt=0)] = 60.0  # a run ends here even when steps are left
    batch_windows: Count = 256
    learning_rate: Rate = 2e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    first_day_share: Annotated[float, Field(ge=0, le=1)] = (
        0.7  # of the steps learn the first target day, others later ones
    )
    averaging: Share = 0.99  # of the averaged weights stays at a step; the averaged ones are kept
    bias_days: Annotated[int, Field(ge=0, le=MOST_DAYS)] = (
        0  # whose errors correct a forecast; each costs one more forecast
    )
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    check_every_steps: Count = 250
    patience_checks: Count = 8
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("members")
    @classmethod
    def _are_known(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        if not members or (unknown := set(members) - set(KINDS)):
            raise ValueError(
                f"a network is {', '.join(KINDS)}, not {', '.join(sorted(unknown)) if members else 'none'}"
            )
        return members

    @model_validator(mode="after")
    def _has_ascending_quantiles(self) -> Self:
        if tuple(sorted(set(self.quantiles))) != self.quantiles or not set(QUANTILES) <= set(self.quantiles):
            raise ValueError(f"quantiles must ascend and have {', '.join(map(str, QUANTILES))}")
        return self

    @property
    def network(self) -> dict[str, Any]:
        """The network as `networks.build` reads it."""
        sizes = {"hidden": self.hidden, "summary": self.summary, "dropout": self.dropout}
        kinds = [{"kind": kind} | sizes for kind in self.members]
        return kinds[0] if len(kinds) == 1 else {"kind": ENSEMBLE, "members": kinds}

    @property
    def days(self) -> int:
        """How many target days the lead hours reach into."""
        return -(-self.lead_hours // DAY_HOURS)


def read_options(file: Path, changes: Mapping[str, object]) -> TrainingOptions:
    """The options of a YAML file with some changed; ValueError says which key is wrong, OSError when there is no file."""
    return _validated({**read_mapping(file), **changes})


def changed(options: TrainingOptions, changes: Mapping[str, object]) -> TrainingOptions:
    """The options with some changed; ValueError says which is wrong."""
    return _validated({**asdict(options), **changes})


def read_mapping(file: Path) -> dict[str, Any]:
    """The keys and values of a YAML file; ValueError for another file, OSError when there is none."""
    try:
        known = yaml.safe_load(file.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name} is not YAML: {error}") from error
    if not isinstance(known, dict):
        raise ValueError(f"{file.name} must hold keys and values.")
    return known


def sentences(error: ValidationError, subject: str) -> str:
    """What is wrong with which of the values."""
    found = [(".".join(map(str, each["loc"])) or "values", each["msg"]) for each in error.errors()]
    return "; ".join(f"{subject} {where}: {message}" for where, message in found)


def as_yaml(options: TrainingOptions) -> str:
    """The options as `read_options` reads them."""
    return yaml.safe_dump(TypeAdapter(TrainingOptions).dump_python(options, mode="json"), sort_keys=False)


def parsed(assignments: Sequence[str]) -> dict[str, object]:
    """{"hidden": 64} of "hidden=64", values as in YAML; ValueError for what is no assignment."""
    changes = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set takes KEY=VALUE, not {assignment}.")
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {assignment}: the value cannot be read.") from error
    return changes


def _validated(values: Mapping[str, object]) -> TrainingOptions:
    try:
        return TypeAdapter(TrainingOptions).validate_python(values)
    except ValidationError as error:
        raise ValueError(sentences(error, "training option")) from error
