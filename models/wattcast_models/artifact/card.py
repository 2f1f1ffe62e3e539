"""The model card: what a model is, what it was made from, how good it is and where not to trust it, from its config alone."""

from collections.abc import Iterator, Mapping
from typing import Any

NEVER_STATED = "Not stated in the artifact"
USES = (
    "Forecasts of the hourly electricity use of buildings, from the hour after the newest reading on, with a band; of "
    "buildings that it has not seen, too. For planning and for noticing what is unusual."
)
LIMITS = (
    "Not for billing, and not for safety: a forecast is no measurement.",
    "It was trained on the buildings below: of other uses, climates and countries expect less, and run `wattcast backtest` on "
    "readings of your own first.",
    "It needs 72 hours of the last week; with less, or from a meter that does not move, a simpler method answers and says so.",
    "It knows nothing of a change of use, a new tenant or a replaced meter until the readings show it.",
)


def model_card(config: Mapping[str, Any]) -> str:
    """Markdown; what the config does not tell is left out, or said to be unknown where it should be there.

    `evaluation`, if the config has it, is {"protocol": text, "figures": {name: value or {name: value}}}.
    """
    return "\n".join(_lines(config)).rstrip() + "\n"


def _lines(config: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Model card: {config['name']} {config['version']}"
    yield from _section("Intended use", [USES])
    yield from _section("Model", _table(_model(config)))
    yield from _section("Inputs", _list(config["inputs"]))
    yield from _section("Data", _table(_data(config)))
    yield from _section("Attribution and licence of the data", [config.get("attribution") or f"{NEVER_STATED}."])
    evaluation = config.get("evaluation") or {}
    yield from _section(
        "Protocol", [evaluation.get("protocol") or f"{NEVER_STATED}: score it with `wattcast backtest`."]
    )
    yield from _section("Figures", _table(_flat(evaluation.get("figures") or {}) | _flat(config.get("metrics") or {})))
    yield from _section("Limits", _list(LIMITS))


def _model(config: Mapping[str, Any]) -> dict[str, object]:
    return {
        "network": network_in_words(config["network"]),
        "quantiles": ", ".join(f"P{100 * level:g}" for level in config["quantiles"]),
        "hours of context": config["context_hours"],
        "hours ahead": config["lead_hours"],
        "features": len(config.get("features", [])),
        "widths": "calibrated by quantile and lead hour" if config.get("calibration") else "as the network says",
        "days whose errors correct a forecast": config.get("bias_days") or None,
        "seed": config.get("seed"),
        "made at": config.get("created_at"),
        "git commit": config.get("git_commit"),
        "sha256 of the weights": config["sha256"],
        "format": config.get("format_version"),
    }


def network_in_words(network: Mapping[str, Any]) -> str:
    """Such as "mean of 3: mlp, mlp, lstm; hidden 192, summary 64, dropout 0.0"."""
    parts = network.get("members") or [network]
    kinds = ", ".join(part["kind"] for part in parts)
    sizes = ", ".join(f"{name} {value}" for name, value in parts[0].items() if name != "kind")
    return f"mean of {len(parts)}: {kinds}; {sizes}" if len(parts) > 1 else f"{kinds}; {sizes}"


def _data(config: Mapping[str, Any]) -> dict[str, object]:
    simulated = config.get("synthetic_buildings")
    return {
        **_flat(config.get("data") or {}),
        "buildings": len(config.get("training_building_ids") or []) or None,
        "simulated buildings beside them": simulated or None,
        "buildings kept out, to test on": len(config.get("excluded_building_ids") or []) or None,
        "last share of time kept out, to test on": config.get("held_out_share") or None,
    }


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", *(lines or [f"{NEVER_STATED}."]))


def _table(values: Mapping[str, object]) -> list[str]:
    rows = [f"| {_shown(name)} | {_shown(value)} |" for name, value in values.items() if value is not None]
    return ["| | |", "|---|---|", *rows] if rows else []


def _list(values: Any) -> list[str]:
    return [f"- {value}" for value in values]


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, object]:
    """{"a": {"b": 1}} as {"a, b": 1}, names in words."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        words = before + name.replace("_", " ")
        flat |= _flat(value, f"{words}, ") if isinstance(value, Mapping) else {words: value}
    return flat


def _shown(value: object) -> str:
    text = (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000 else str(value)
    )
    return text.replace("|", "\\|").replace("\n", " ")
