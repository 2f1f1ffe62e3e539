import json
from typing import Any

import pytest

from wattcast_models.artifact.card import NEVER_STATED, model_card
from wattcast_models.artifact.folder import CONFIG, shipped_artifact

CARD = shipped_artifact() / "MODEL_CARD.md"


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((shipped_artifact() / CONFIG).read_text())
    return loaded


def test_the_card_of_the_shipped_model_is_that_of_its_config(config: dict[str, Any]) -> None:
    assert CARD.read_text(encoding="utf-8") == model_card(config), f"wattcast models card shipped > {CARD}"


def test_a_card_has_all_sections_and_the_values_of_the_config(config: dict[str, Any]) -> None:
    card = model_card(config | {"evaluation": {"protocol": "Day ahead.", "figures": {"nrmse_pct": {"unseen": 11.5}}}})
    for section in ("Intended use", "Inputs", "Data", "Attribution", "Protocol", "Figures", "Limits"):
        assert f"\n## {section}" in card
    for text in (
        config["attribution"],
        "P10, P50, P90",
        "Day ahead.",
        "| nrmse pct, unseen | 11.5 |",
        config["sha256"],
    ):
        assert text in card


def test_sections_without_values_say_that_they_are_not_stated(config: dict[str, Any]) -> None:
    needed = {name: config[name] for name in ("name", "version", "network", "inputs", "quantiles", "sha256")}
    card = model_card(needed | {"context_hours": 672, "lead_hours": 24, "metrics": {"a|b": "one\ntwo"}})
    assert card.count(NEVER_STATED) == 3
    assert "| a\\|b | one two |" in card
    assert "None" not in card
