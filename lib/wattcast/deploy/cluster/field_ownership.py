"""What was applied to an object, out of the notes that the API server keeps of who owns which field."""

import json
from collections.abc import Mapping
from typing import Any

from wattcast.deploy.cluster import FIELD_MANAGER, plain
from wattcast.deploy.manifests import Manifest

# Whoever has deployed, the first of these that there is: `wattcast deploy` or `kubectl apply`.
APPLIERS = (FIELD_MANAGER, "kubectl", "kubectl-client-side-apply")


def applied(live: Manifest) -> Manifest:
    """The document that was applied last; applied again, it makes the object what it is now."""
    managers = {
        each["manager"]: each for each in live["metadata"].get("managedFields", []) if "subresource" not in each
    }
    fields: Manifest = next((managers[name]["fieldsV1"] for name in APPLIERS if name in managers), {})
    document = _owned(plain(live), fields)
    identity = {key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]}
    return {
        **document, "apiVersion": live["apiVersion"], "kind": live["kind"],
        "metadata": document.get("metadata", {}) | identity,
    }  # fmt: skip


def _owned(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of a value that the fields name: `f:` a key, `k:` the item of a list with those keys, `v:` a value of a set."""
    if not fields.keys() - {"."}:
        return value
    if isinstance(value, dict):
        return {name: _owned(part, fields[f"f:{name}"]) for name, part in value.items() if f"f:{name}" in fields}
    return [_owned(item, fields[key]) for item in value if (key := _key(item, fields))]


def _key(item: Any, fields: Mapping[str, Any]) -> str | None:
    for key in fields:
        kind, _, text = key.partition(":")
        if kind == "k" and isinstance(item, dict) and json.loads(text).items() <= item.items():
            return key
        if kind == "v" and json.loads(text) == item:
            return key
    return None
