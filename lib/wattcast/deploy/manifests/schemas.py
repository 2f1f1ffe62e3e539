"""Checks fields and types of manifests: custom kinds by their CRDs, built-in kinds by the models of the Kubernetes client."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from kubernetes.client import models

Schemas = dict[tuple[str, str], Draft202012Validator]

# The API groups of Kubernetes itself, whose kinds the client knows. The suffix k8s.io does not identify them:
# sparkoperator.k8s.io is a custom group.
BUILT_IN_GROUPS = {
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "authentication.k8s.io",
    "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
    "events.k8s.io", "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy",
    "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
}  # fmt: skip

SCALARS: dict[str, Any] = {"str": str, "bytes": str, "int": int, "float": (int, float), "bool": bool, "datetime": str}


def schemas_in_folder(folder: Path) -> Schemas:
    """Validators by apiVersion and kind, from CRDs that are JSON files."""
    validators = {}
    for file in sorted(folder.glob("*.json")):
        crd = json.loads(file.read_text(encoding="utf-8"))["spec"]
        for version in crd["versions"]:
            key = f"{crd['group']}/{version['name']}", crd["names"]["kind"]
            validators[key] = _validator(version["schema"]["openAPIV3Schema"])
    return validators


def schemas_from_open_api(open_api: dict[str, Any]) -> Schemas:
    """Validators by apiVersion and kind, from the OpenAPI description that an API server publishes for a group."""
    validators = {}
    for schema in open_api["components"]["schemas"].values():
        match schema:
            case {
                "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": kind}],
                "properties": {"spec": _},
            }:
                validators[f"{group}/{version}", kind] = _validator(schema)
    return validators


def schema_errors(document: dict[str, Any], schemas: Schemas) -> Iterator[str]:
    """Unknown fields, missing fields and wrong types.

    A custom kind of a group that `schemas` does not contain is not checked; the cluster checks it in the dry run.
    """
    api_version, kind = str(document.get("apiVersion")), str(document.get("kind"))
    if (validator := schemas.get((api_version, kind))) is not None:
        yield from (_message(error) for error in validator.iter_errors(document))
        return
    if has_unknown_group(document, schemas):
        return
    model = f"{api_version.rpartition('/')[2].capitalize()}{kind}"
    if _group(api_version) in BUILT_IN_GROUPS and hasattr(models, model):
        yield from kubernetes_type_errors(document, model)
    else:
        yield f"the API {api_version} has no kind {kind}"


def has_unknown_group(document: dict[str, Any], schemas: Schemas) -> bool:
    """Whether the kind is neither built in nor of a group that `schemas` contains."""
    groups = BUILT_IN_GROUPS | {_group(api_version) for api_version, _ in schemas}
    return bool(document.get("apiVersion")) and _group(str(document["apiVersion"])) not in groups


def kubernetes_type_errors(value: object, kind: str, path: str = "") -> Iterator[str]:
    """The errors of a value that must be a type of the Kubernetes client, such as V1PodTemplateSpec or List[str]."""
    if part := re.fullmatch(r"List\[(.+)\]", kind):
        yield from _collection_errors(value, list, part[1], path)
    elif part := re.fullmatch(r"Dict\[str, (.+)\]", kind):
        yield from _collection_errors(value, dict, part[1], path)
    elif kind in SCALARS:
        if not isinstance(value, SCALARS[kind]) or (kind != "bool" and isinstance(value, bool)):
            yield f"{path} must be {kind}, not {value!r}"
    elif hasattr(getattr(models, kind, None), "attribute_map"):
        yield from _model_errors(value, getattr(models, kind), path)


def _model_errors(value: object, model: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} must be object, not {value!r}"
        return
    types = {name: model.openapi_types[attribute] for attribute, name in model.attribute_map.items()}
    for name, part in value.items():
        if name in types:
            yield from kubernetes_type_errors(part, types[name], _join(path, name))
        else:
            yield _unknown_field(path, name)


def _collection_errors(value: object, container: type, kind: str, path: str) -> Iterator[str]:
    parts: Iterable[tuple[Any, object]]
    if container is list and isinstance(value, list):
        parts = enumerate(value)
    elif container is dict and isinstance(value, dict):
        parts = value.items()
    else:
        yield f"{path} must be {'array' if container is list else 'object'}, not {value!r}"
        return
    for key, part in parts:
        yield from kubernetes_type_errors(part, kind, _join(path, key))


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    closed = _closed(schema)
    closed["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return Draft202012Validator(closed)


def _closed(schema: Any) -> Any:
    """An OpenAPI schema as a JSON schema in which a field that is not declared is an error."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _closed(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not is_open:
        schema["additionalProperties"] = False
    return schema


def _message(error: ValidationError) -> str:
    path = _join(*error.absolute_path)
    expected, value, schema = cast(Any, (error.validator_value, error.instance, error.schema))
    match error.validator:
        case "additionalProperties":
            return " and ".join(_unknown_field(path, name) for name in value if name not in schema["properties"])
        case "required":
            return f"{path or 'the document'} lacks {next(name for name in expected if name not in value)}"
        case "type":
            return f"{path} must be {expected}, not {value!r}"
        case "enum":
            return f"{path} must be one of {', '.join(expected)}, not {value!r}"
        case "minimum":
            return f"{path} must be at least {expected}, not {value!r}"
    return f"{path}: {error.message}"


def _unknown_field(path: str, name: str) -> str:
    return f"{path or 'the document'} has no field {name}"


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def _join(*parts: object) -> str:
    return ".".join(str(part) for part in parts if part != "")
