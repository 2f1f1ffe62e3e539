"""The alert rules of conf/alerts.yaml: when an alert fires, when it is resolved, and its message."""

import os
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from wattcast.measurements import FLEET, MEASURES
from wattcast.settings import project_folder

Scope = Literal["fleet", "building", "device", "feature", "rule", "model", "query", "table"]


class AlertRule(BaseModel):
    """A limit on one measure. The alert fires when a value has been beyond the limit for `for_minutes`, and is resolved when the
    value is back within `clear` (default: the limit), however few samples that value has. `message` may use {subject}, {value},
    {threshold} and {details}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    measure: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    scope: Scope
    subject: str = Field(
        default="", description="the only subject of this rule; rules of one name can each have their own subject"
    )
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    for_minutes: Annotated[int, Field(ge=0, le=12 * 60)] = 0
    fewest_samples: Annotated[int, Field(ge=0, description="a value with fewer samples raises no alert")] = 0
    when_missing: str = Field(
        default="", description="message for the scope fleet: the alert also fires when nothing at all is measured"
    )
    quiet_while: str = Field(
        default="", description="name of another rule; while its alert fires, this rule raises no alert"
    )
    retrains: bool = Field(default=False, description="while it fires, `wattcast retrain` trains a model")
    severity: Literal["critical", "warning"]
    message: str

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"rule {self.name} needs either above or below")
        if self.clear is not None and self.is_beyond(self.clear):
            raise ValueError(f"rule {self.name}: clear lies beyond its limit")
        if self.scope not in MEASURES.get(self.measure, ()):
            raise ValueError(f"rule {self.name}: nothing is measured as {self.measure} of the scope {self.scope}")
        if self.when_missing and self.scope != FLEET:
            raise ValueError(f"rule {self.name}: when_missing is for the scope fleet")
        try:
            self.rendered_message("subject", 0.0, "")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"rule {self.name}: message cannot be filled in: {error!r}") from error
        return self

    @property
    def threshold(self) -> float:
        return self.above if self.above is not None else float(self.below or 0.0)

    def is_beyond(self, value: float) -> bool:
        return value > self.threshold if self.above is not None else value < self.threshold

    def is_clear(self, value: float) -> bool:
        limit = self.threshold if self.clear is None else self.clear
        return value <= limit if self.above is not None else value >= limit

    def rendered_message(self, subject: str, value: float, details: str) -> str:
        return self.message.format(subject=subject, value=value, threshold=self.threshold, details=details)


class AlertRules(RootModel[tuple[AlertRule, ...]]):
    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _names_are_consistent(self) -> Self:
        keys = [(rule.name, rule.measure, rule.scope, rule.subject) for rule in self.root]
        if repeated := {key for key in keys if keys.count(key) > 1}:
            raise ValueError(f"there is more than one rule {sorted(repeated)[0]}")
        if unknown := {rule.quiet_while for rule in self.root} - {rule.name for rule in self.root} - {""}:
            raise ValueError(f"quiet_while names a rule that is not there: {sorted(unknown)[0]}")
        return self


def load_alert_rules(file: Path | None = None) -> tuple[AlertRule, ...]:
    """The rules of a file; by default alerts.yaml of $WATTCAST_CONF, or of the project where that folder has none.

    Raises:
        pydantic.ValidationError, yaml.YAMLError: the file is not valid.
    """
    if file is None:
        configured = Path(os.environ.get("WATTCAST_CONF") or project_folder("conf")) / "alerts.yaml"
        file = configured if configured.is_file() else project_folder("conf") / "alerts.yaml"
    return AlertRules.model_validate(yaml.safe_load(file.read_text(encoding="utf-8"))).root
