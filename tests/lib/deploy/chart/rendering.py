"""The chart of k8s/helm, rendered as Helm does: expressions that end with toJson, and conditions around whole documents."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[4] / "k8s/helm/wattcast"
EXPRESSION = re.compile(r"\{\{ (\.[\w.]+)((?: \| \w+)+) \}\}")
CONDITION = re.compile(r"^\{\{- if (\.[\w.]+) \}\}\n(.*?)^\{\{- end \}\}\n", re.MULTILINE | re.DOTALL)

Document = dict[str, Any]


def to_json(value: Any) -> str:
    """As Go writes it, which the digest of values depends on: without blanks, and three characters escaped for HTML."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


FUNCTIONS = {"toJson": to_json, "sha256sum": lambda text: hashlib.sha256(text.encode()).hexdigest()}


def default_values() -> Document:
    values: Document = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    return values


def merged(defaults: Document, changes: Document) -> Document:
    """The values with changes: maps are merged, and null removes a key."""
    values = dict(defaults)
    for key, change in changes.items():
        if change is None:
            values.pop(key, None)
        elif isinstance(change, dict) and isinstance(values.get(key), dict):
            values[key] = merged(values[key], change)
        else:
            values[key] = change
    return values


def rendered_chart(changes: Document | None = None, *, namespace: str = "wattcast") -> list[Document]:
    """The documents of the chart with changed values."""
    context = {"Values": merged(default_values(), changes or {}), "Release": {"Namespace": namespace}}

    def value(path: str) -> Any:
        found: Any = context
        for key in path.split(".")[1:]:
            found = found.get(key)
        return found

    def text(match: re.Match[str]) -> str:
        result = value(match[1])
        assert result is not None, f"no value {match[1]}"
        for function in match[2].split(" | ")[1:]:
            result = FUNCTIONS[function](result)
        return str(result)

    documents: list[Document] = []
    for file in sorted((CHART / "templates").iterdir()):
        template = CONDITION.sub(lambda match: match[2] if value(match[1]) else "", file.read_text(encoding="utf-8"))
        result = EXPRESSION.sub(text, template)
        assert "{{" not in result, file.name
        documents += [document for document in yaml.safe_load_all(result) if document]
    return documents
