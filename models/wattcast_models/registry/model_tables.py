"""The tables that `wattcast models` prints in the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from wattcast_models.registry.registry import Event, Version
from wattcast_models.registry.scopes import Scope

if TYPE_CHECKING:
    from wattcast_models.registry.gate import GateDecision

OMITTED = ("training_building_ids", "features", "reference")  # long lists


def versions_table(versions: Sequence[Version], aliases: Mapping[str, int]) -> Table:
    """The registered versions, the newest first, with the scopes whose champion they are."""
    table = Table("version", "model", "registered", "role", "last event", title="Registered models")
    for version in versions:
        last = version.events[-1] if version.events else None
        _add_row(
            table,
            str(version.number), f"{version.model_name} {version.model_version}", f"{version.registered_at:%Y-%m-%d %H:%M}",
            "\n".join(_role(alias) for alias, number in sorted(aliases.items()) if number == version.number),
            f"{last.what}, {last.scope}" if last else "",
        )  # fmt: skip
    if "champion" not in aliases:
        table.caption = "No version has been promoted for all buildings: the shipped model is their champion."
    return table


def config_table(config: Mapping[str, Any], *, title: str) -> Table:
    table = Table("", "", title=Text(title), show_header=False)
    for name, value in config.items():
        if name not in OMITTED:
            _add_row(table, name, str(value))
    return table


def events_table(events: Sequence[Event]) -> Table:
    """The history of a version, with the reasons for each event."""
    table = Table("when", "by", "what", "against", "reasons", title="History")
    for event in events:
        reasons = (
            [f"forced: {event.forced_because}"] * bool(event.forced_because) + event.reasons + _figures(event.figures)
        )
        at = event.at[:19].replace("T", " ")
        _add_row(table, at, event.by, f"{event.what}, {event.scope}", event.against, "\n".join(reasons))
    return table


def decision_table(challenger: str, champion: str, decision: "GateDecision") -> Table:
    table = Table("figure", "value", title=Text(f"{challenger} against {champion}, on the same hours"))
    for name, value in decision.figures.items():
        table.add_row(name.replace("_", " "), f"{value:.4g}")
    table.caption = "The gate would accept it." if decision.is_accepted else "The gate would refuse it."
    return table


def _add_row(table: Table, *cells: str) -> None:
    """Add a row of plain text: names and reasons of users may contain what rich takes for markup."""
    table.add_row(*map(Text, cells))


def _role(alias: str) -> str:
    role_scope = Scope.of(alias)
    return f"{role_scope[0]} of {role_scope[1]}" if role_scope else alias


def _figures(figures: Mapping[str, float]) -> list[str]:
    return [f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()]
