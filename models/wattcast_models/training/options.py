"""Training options: conf/training.yaml with the changes of the command line; typed, validated, unknown keys refused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from wattcast_models.networks.bias_correction import MAX_DAYS
from wattcast_models.networks.networks import ENSEMBLE, KINDS
from wattcast_models.quantiles import QUANTILES
from wattcast_models.time_units import DAY_HOURS

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Level = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, config={"extra": "forbid"})
class TrainingOptions:
    """The options of a training run, all of which are written into the artifact. ValueError for a value out of range."""

    members: tuple[str, ...] = ("mlp",)  # kinds of network; the forecast is the mean of the members'
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
    first_day_share: Annotated[float, Field(ge=0, le=1)] = 0.7  # of the steps; the others learn a later target day
    averaging: Share = 0.99  # decay of the averaged weights, which are the ones that are kept
    bias_days: Annotated[int, Field(ge=0, le=MAX_DAYS)] = 0  # for the bias correction; each costs one more forecast
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
        """The network as the config that `networks.build` reads."""
        sizes = {"hidden": self.hidden, "summary": self.summary, "dropout": self.dropout}
        kinds = [{"kind": kind} | sizes for kind in self.members]
        return kinds[0] if len(kinds) == 1 else {"kind": ENSEMBLE, "members": kinds}

    @property
    def days(self) -> int:
        """The number of target days that the lead hours reach into."""
        return -(-self.lead_hours // DAY_HOURS)


def read_options(file: Path, changes: Mapping[str, object]) -> TrainingOptions:
    """The options of a YAML file with some changed; ValueError names a wrong key, OSError if there is no file."""
    return _validated({**read_yaml_mapping(file), **changes})


def with_changes(options: TrainingOptions, changes: Mapping[str, object]) -> TrainingOptions:
    """The options with some changed; ValueError names a wrong one."""
    return _validated({**asdict(options), **changes})


def read_yaml_mapping(file: Path) -> dict[str, Any]:
    """The keys and values of a YAML file; ValueError if it is not a mapping, OSError if there is no file."""
    try:
        mapping = yaml.safe_load(file.read_text()) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name} is not YAML: {error}") from error
    if not isinstance(mapping, dict):
        raise ValueError(f"{file.name} must be a mapping of keys to values.")
    return mapping


def validation_message(error: ValidationError, subject: str) -> str:
    """The wrong values and what is wrong with each, in one line."""
    problems = [(".".join(map(str, problem["loc"])) or "values", problem["msg"]) for problem in error.errors()]
    return "; ".join(f"{subject} {location}: {message}" for location, message in problems)


def options_yaml(options: TrainingOptions) -> str:
    """The options as YAML that `read_options` reads."""
    return yaml.safe_dump(TypeAdapter(TrainingOptions).dump_python(options, mode="json"), sort_keys=False)


def parse_assignments(assignments: Sequence[str]) -> dict[str, object]:
    """{"hidden": 64} of ["hidden=64"], values as in YAML; ValueError if one is not KEY=VALUE."""
    changes = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ValueError(f"--set takes KEY=VALUE, not {assignment}.")
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"--set {assignment}: the value is not valid YAML.") from error
    return changes


def _validated(values: Mapping[str, object]) -> TrainingOptions:
    try:
        return TypeAdapter(TrainingOptions).validate_python(values)
    except ValidationError as error:
        raise ValueError(validation_message(error, "training option")) from error
