"""What `wattcast models` prints: tables in the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from wattcast_models.registry import Event, Version
from wattcast_models.scopes import Scope

if TYPE_CHECKING:
    from wattcast_models.gate import Verdict

HIDDEN = ("training_building_ids", "features", "reference")  # long lists


def versions_table(versions: Sequence[Version], aliases: Mapping[str, int]) -> Table:
    """The registered versions, the newest first, and of what they are champions."""
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
        table.caption = (
            "Nothing was promoted for all buildings: the model that comes with the package is their champion."
        )
    return table


def config_table(config: Mapping[str, Any], *, title: str) -> Table:
    table = Table("", "", title=Text(title), show_header=False)
    for name, value in config.items():
        if name not in HIDDEN:
            _add_row(table, name, str(value))
    return table


def events_table(events: Sequence[Event]) -> Table:
    """What happened to a version, and on which grounds."""
    table = Table("when", "by", "what", "against", "grounds", title="What happened to it")
    for event in events:
        grounds = (
            [f"forced: {event.forced_because}"] * bool(event.forced_because) + event.reasons + _figures(event.figures)
        )
        at = event.at[:19].replace("T", " ")
        _add_row(table, at, event.by, f"{event.what}, {event.scope}", event.against, "\n".join(grounds))
    return table


def verdict_table(challenger: str, champion: str, verdict: "Verdict") -> Table:
    table = Table("figure", "value", title=Text(f"{challenger} against {champion}, on the same rows"))
    for name, value in verdict.figures.items():
        table.add_row(name.replace("_", " "), f"{value:.4g}")
    table.caption = "It would be accepted." if verdict.is_accepted else "It would be refused."
    return table


def _add_row(table: Table, *cells: str) -> None:
    """A row in which brackets are no markup: names and reasons are what people wrote."""
    table.add_row(*map(Text, cells))


def _role(alias: str) -> str:
    of = Scope.of(alias)
    return f"{of[0]} of {of[1]}" if of else alias


def _figures(figures: Mapping[str, float]) -> list[str]:
    return [f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()]
