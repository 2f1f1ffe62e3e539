"""The document that was applied last to an object, reconstructed from the field ownership that the API server records."""

import json
from collections.abc import Mapping
from typing import Any

from wattcast.deploy.cluster.client import FIELD_MANAGER
from wattcast.deploy.manifests.documents import Manifest, without_server_fields

# The field managers of `wattcast deploy` and `kubectl apply`; the first that the object has counts.
APPLIERS = (FIELD_MANAGER, "kubectl", "kubectl-client-side-apply")


def last_applied(live: Manifest) -> Manifest:
    """The document that was applied last; applying it again restores the object."""
    managers = {
        entry["manager"]: entry for entry in live["metadata"].get("managedFields", []) if "subresource" not in entry
    }
    fields: Manifest = next((managers[name]["fieldsV1"] for name in APPLIERS if name in managers), {})
    document = _owned(without_server_fields(live), fields)
    identity = {key: live["metadata"][key] for key in ("name", "namespace") if key in live["metadata"]}
    return {
        **document, "apiVersion": live["apiVersion"], "kind": live["kind"],
        "metadata": document.get("metadata", {}) | identity,
    }  # fmt: skip


def _owned(value: Any, fields: Mapping[str, Any]) -> Any:
    """The owned part of a value: `f:` names a key, `k:` the list item with those keys, `v:` a value of a set."""
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
