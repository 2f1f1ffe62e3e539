"""The model card: what a model is, its training data, its accuracy and its limits, from the config of its artifact."""

from collections.abc import Iterator, Mapping
from typing import Any

NEVER_STATED = "Not stated in the artifact"
USES = (
    "Forecasts of the hourly electricity use of buildings, including buildings that the model was not trained on, from the hour "
    "after the newest reading on, with an interval. For planning and for detecting unusual use."
)
LIMITS = (
    "Not for billing and not for safety: a forecast is not a measurement.",
    "The model was trained on the buildings above. Expect larger errors for other uses, climates and countries, and run "
    "`wattcast backtest` on your own readings first.",
    "The model needs 72 hours of the last week. With less, or for a meter whose readings do not change, a simpler method makes "
    "the forecast, and the forecast names it.",
    "A change of use, a new tenant or a replaced meter affects the forecast only after it shows in the readings.",
)


def model_card(config: Mapping[str, Any]) -> str:
    """The card in Markdown. Values that the config lacks are left out; a required section without values says so.

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
    yield from _section("Protocol", [evaluation.get("protocol") or f"{NEVER_STATED}: run `wattcast backtest`."])
    yield from _section("Figures", _table(_flat(evaluation.get("figures") or {}) | _flat(config.get("metrics") or {})))
    yield from _section("Limits", _list(LIMITS))


def _model(config: Mapping[str, Any]) -> dict[str, object]:
    return {
        "network": network_in_words(config["network"]),
        "quantiles": ", ".join(f"P{100 * level:g}" for level in config["quantiles"]),
        "context hours": config["context_hours"],
        "lead hours": config["lead_hours"],
        "features": len(config.get("features", [])),
        "calibration": "by quantile and lead hour" if config.get("calibration") else "none",
        "days of the bias correction": config.get("bias_days") or None,
        "seed": config.get("seed"),
        "created at": config.get("created_at"),
        "git commit": config.get("git_commit"),
        "sha256 of the weights": config["sha256"],
        "format": config.get("format_version"),
    }


def network_in_words(network: Mapping[str, Any]) -> str:
    """A text such as "mean of 3: mlp, mlp, lstm; hidden 192, summary 64, dropout 0.0"."""
    parts = network.get("members") or [network]
    kinds = ", ".join(part["kind"] for part in parts)
    sizes = ", ".join(f"{name} {value}" for name, value in parts[0].items() if name != "kind")
    return f"mean of {len(parts)}: {kinds}; {sizes}" if len(parts) > 1 else f"{kinds}; {sizes}"


def _data(config: Mapping[str, Any]) -> dict[str, object]:
    return {
        **_flat(config.get("data") or {}),
        "buildings": len(config.get("training_building_ids") or []) or None,
        "synthetic buildings": config.get("synthetic_buildings") or None,
        "held-out buildings": len(config.get("excluded_building_ids") or []) or None,
        "held-out last share of time": config.get("held_out_share") or None,
        **_flat(config.get("trained_under") or {}, "trained under "),
    }


def _section(title: str, lines: list[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", *(lines or [f"{NEVER_STATED}."]))


def _table(values: Mapping[str, object]) -> list[str]:
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in values.items() if value is not None]
    return ["| | |", "|---|---|", *rows] if rows else []


def _list(values: Any) -> list[str]:
    return [f"- {value}" for value in values]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """{"a": {"b_c": 1}} as {"a, b c": 1}."""
    flat: dict[str, object] = {}
    for name, value in values.items():
        words = prefix + name.replace("_", " ")
        flat |= _flat(value, f"{words}, ") if isinstance(value, Mapping) else {words: value}
    return flat


def _cell(value: object) -> str:
    text = (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000 else str(value)
    )
    return text.replace("|", "\\|").replace("\n", " ")
