"""Alert rules of conf/alerts.yaml, and which alerts they raise and resolve on what is measured (pandas)."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from wattcast.measures import FLEET, MEASURES
from wattcast.settings import project_folder

FIRING, RESOLVED = "firing", "resolved"
KEPT_HOURS = 24  # for which an alert goes on though its subject is not measured any more
HISTORY = pd.Timedelta(hours=KEPT_HOURS)

Scope = Literal["fleet", "building", "device", "feature", "rule", "model", "query", "table"]


class Rule(BaseModel):
    """What is wrong, and how it is said. It fires when a value has been beyond the limit for `for_minutes`, and is resolved when
    it is back beyond `clear` (default: the limit), of however few samples. `message` may use {subject}, {value}, {threshold} and
    {details}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    measure: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    scope: Scope
    subject: str = Field(
        default="", description="only of this one; several rules of one name may share out the subjects"
    )
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    for_minutes: Annotated[int, Field(ge=0, le=12 * 60)] = 0
    fewest_samples: Annotated[int, Field(ge=0, description="that a value needs to fire")] = 0
    when_missing: str = Field(
        default="", description="of the fleet: no value at all counts as beyond the limit, and this is said then"
    )
    quiet_while: str = Field(default="", description="a rule; while it fires, this one raises nothing new")
    retrains: bool = Field(
        default=False, description="while it fires, a model may be trained (monitoring.retrain_on_drift)"
    )
    severity: Literal["critical", "warning"]
    message: str

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"rule {self.name} needs either above or below")
        if self.clear is not None and self.is_beyond(self.clear):
            raise ValueError(f"rule {self.name}: clear lies beyond its limit")
        if self.scope not in MEASURES.get(self.measure, ()):
            raise ValueError(f"rule {self.name}: nothing is measured as {self.measure} of the scope {self.scope}")
        if self.when_missing and self.scope != FLEET:
            raise ValueError(f"rule {self.name}: when_missing is for the scope fleet")
        try:
            self.say("subject", 0.0, "")
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

    def say(self, subject: str, value: float, details: str) -> str:
        return self.message.format(subject=subject, value=value, threshold=self.threshold, details=details)


class Rules(RootModel[tuple[Rule, ...]]):
    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _names(self) -> Self:
        names = [(rule.name, rule.measure, rule.scope, rule.subject) for rule in self.root]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"there is more than one rule {sorted(doubled)[0]}")
        if unknown := {rule.quiet_while for rule in self.root} - {rule.name for rule in self.root} - {""}:
            raise ValueError(f"quiet_while names a rule that is not there: {sorted(unknown)[0]}")
        return self


def alert_rules(file: Path | None = None) -> tuple[Rule, ...]:
    """The rules of conf/alerts.yaml, or of another file.

    Raises:
        pydantic.ValidationError, yaml.YAMLError: it cannot be used.
    """
    conf = Path(os.environ.get("WATTCAST_CONF") or project_folder("conf"))
    named = conf / "alerts.yaml"
    found = file or (named if named.is_file() else project_folder("conf") / "alerts.yaml")
    return Rules.model_validate(yaml.safe_load(found.read_text(encoding="utf-8"))).root


@dataclass(frozen=True)
class Moment:
    """All that an evaluation looks at. `values`: measure, scope, subject, value, samples, details, as measured now. `history`:
    rows of `health` (as_of, measure, scope, subject, value) of the HISTORY before. `open`: alerts that fire, as in `alerts`."""

    as_of: pd.Timestamp
    values: pd.DataFrame
    history: pd.DataFrame
    open: pd.DataFrame


def whose_past_counts(rules: Sequence[Rule], values: pd.DataFrame, opened: pd.DataFrame) -> set[str]:
    """The subjects of which `changes` looks at the history: those beyond a limit that waits, and those of open alerts."""
    subjects = {str(name) for name in opened["subject"]}
    for rule in (each for each in rules if each.for_minutes):
        mine = values[_of(values, rule)]
        subjects |= set(mine.loc[mine["value"].map(rule.is_beyond).astype(bool), "subject"])
    return subjects


def changes(rules: Sequence[Rule], moment: Moment, *, now: pd.Timestamp) -> pd.DataFrame:
    """Rows for the table `alerts`: what begins to fire, and what is over. Nothing for what goes on."""
    firing = {str(name) for name in moment.open["rule"]} & {rule.name for rule in rules}
    rows: list[dict[str, Any]] = []
    for rule in sorted(rules, key=lambda rule: bool(rule.quiet_while)):  # those that quieten others first
        made = list(_of_rule(rule, moment, is_quiet=rule.quiet_while in firing, now=now))
        rows += made
        firing |= {rule.name for row in made if row["state"] == FIRING}
    rows += list(_of_no_rule(rules, moment, now))
    return pd.DataFrame(rows)


def _of_rule(rule: Rule, moment: Moment, *, is_quiet: bool, now: pd.Timestamp) -> Iterator[dict[str, Any]]:
    mine = moment.values[_of(moment.values, rule)]
    opened = {str(alert.subject): alert for alert in moment.open.itertuples() if _is_of(alert, rule)}
    if rule.when_missing and mine.empty and FLEET not in opened and not is_quiet:
        yield _fires(rule, FLEET, None, rule.when_missing, moment.as_of, now)
        return
    since = _beyond_since(rule, moment)
    has_enough = ~(mine["samples"].astype(float) < rule.fewest_samples)
    for row, may_fire in zip(mine.itertuples(), has_enough & (not is_quiet), strict=True):
        subject, value = str(row.subject), float(str(row.value))
        details = row.details if isinstance(row.details, str) else ""
        if subject in opened:
            if rule.is_clear(value):
                yield _resolves(opened[subject], value, rule.say(subject, value, details), moment.as_of, now)
        elif may_fire and rule.is_beyond(value) and since.get(subject, moment.as_of) <= _due(rule, moment):
            yield _fires(rule, subject, value, rule.say(subject, value, details), moment.as_of, now)
    seen = set(moment.history["subject"][_of(moment.history, rule)]) | set(mine["subject"])
    for subject, alert in opened.items():
        if subject not in seen and not (rule.when_missing and mine.empty):
            yield _resolves(alert, None, "It is not measured any more.", moment.as_of, now)


def _of_no_rule(rules: Sequence[Rule], moment: Moment, now: pd.Timestamp) -> Iterator[dict[str, Any]]:
    """Open alerts of rules that are no more."""
    for alert in moment.open.itertuples():
        if not any(_is_of(alert, rule) for rule in rules):
            yield _resolves(alert, None, "Its rule is no more.", moment.as_of, now)


def _due(rule: Rule, moment: Moment) -> pd.Timestamp:
    return moment.as_of - pd.Timedelta(minutes=rule.for_minutes)


def _beyond_since(rule: Rule, moment: Moment) -> dict[str, pd.Timestamp]:
    """By subject since when its values before now have been beyond the limit without a break; of a rule that waits."""
    past = moment.history[_of(moment.history, rule)]
    if not rule.for_minutes or past.empty:
        return {}
    broken = past[~past["value"].map(rule.is_beyond).astype(bool)].groupby("subject")["as_of"].max()
    unbroken = past[~(past["as_of"] <= past["subject"].map(broken))]
    begun = unbroken.groupby("subject")["as_of"].min()
    return {str(subject): pd.Timestamp(at) for subject, at in begun.items()}


def _of(rows: pd.DataFrame, rule: Rule) -> pd.Series:
    """Which rows the rule looks at."""
    is_its = (rows["measure"] == rule.measure) & (rows["scope"] == rule.scope)
    return is_its & (rows["subject"] == rule.subject) if rule.subject else is_its


def _is_of(alert: Any, rule: Rule) -> bool:
    return bool(alert.rule == rule.name and alert.scope == rule.scope and rule.subject in ("", alert.subject))


def _fires(
    rule: Rule, subject: str, value: float | None, message: str, as_of: pd.Timestamp, now: pd.Timestamp
) -> dict[str, Any]:
    """`now` makes its name: the clock of the readings may stand still while an alert fires, is over and fires again."""
    identity = f"{rule.name}|{rule.scope}|{subject}|{now.value // 1000}"
    return {
        "alert_id": hashlib.sha256(identity.encode()).hexdigest()[:32], "state": FIRING, "changed_at": as_of, "rule": rule.name,
        "severity": rule.severity, "scope": rule.scope, "subject": subject, "started_at": as_of, "value": value,
        "threshold": rule.threshold, "message": message, "created_at": now,
    }  # fmt: skip


def _resolves(alert: Any, value: float | None, message: str, as_of: pd.Timestamp, now: pd.Timestamp) -> dict[str, Any]:
    kept: Mapping[str, Any] = {
        name: getattr(alert, name)
        for name in ("alert_id", "rule", "severity", "scope", "subject", "started_at", "threshold")
    }
    return {**kept, "state": RESOLVED, "changed_at": as_of, "value": value, "message": message, "created_at": now}
