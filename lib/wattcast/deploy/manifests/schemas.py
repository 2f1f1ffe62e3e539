"""Whether a manifest has the fields and types of its kind: a custom one by its CRD, one of Kubernetes' own by its client."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError
from kubernetes.client import models

Schemas = dict[tuple[str, str], Draft202012Validator]

# Kubernetes' own, whose kinds its client has. A name that ends like theirs says nothing: sparkoperator.k8s.io is another's.
OWN_GROUPS = {
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "authentication.k8s.io",
    "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
    "events.k8s.io", "flowcontrol.apiserver.k8s.io", "networking.k8s.io", "node.k8s.io", "policy",
    "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "storage.k8s.io",
}  # fmt: skip

PLAIN: dict[str, Any] = {"str": str, "bytes": str, "int": int, "float": (int, float), "bool": bool, "datetime": str}


def schemas(folder: Path) -> Schemas:
    """By apiVersion and kind, the CRDs that a folder has as JSON."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        crd = json.loads(file.read_text(encoding="utf-8"))["spec"]
        for each in crd["versions"]:
            found[f"{crd['group']}/{each['name']}", crd["names"]["kind"]] = _validator(
                each["schema"]["openAPIV3Schema"]
            )
    return found


def schemas_of(open_api: dict[str, Any]) -> Schemas:
    """The same from the OpenAPI description of a group of custom kinds, as an API server gives it."""
    found = {}
    for schema in open_api["components"]["schemas"].values():
        match schema:
            case {
                "x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": kind}],
                "properties": {"spec": _},
            }:
                found[f"{group}/{version}", kind] = _validator(schema)
    return found


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    closed = _closed(schema)
    closed["properties"]["metadata"] = {"type": "object", "required": ["name"]}
    return Draft202012Validator(closed)


def misfits(document: dict[str, Any], known: Schemas) -> Iterator[str]:
    """What does not fit, each as the rest of a sentence that begins with the name of the document. Nothing is known, and nothing
    said, of custom kinds that are not `known` and whose group has none that is: the cluster will say it."""
    api_version, kind = str(document.get("apiVersion")), str(document.get("kind"))
    if (validator := known.get((api_version, kind))) is not None:
        yield from (_said(error) for error in validator.iter_errors(document))
        return
    if is_foreign(document, known):
        return
    model = f"{api_version.rpartition('/')[2].capitalize()}{kind}"
    if _group(api_version) in OWN_GROUPS and hasattr(models, model):
        yield from misfits_of(document, model)
    else:
        yield f"there is no kind {kind} of {api_version}"


def is_foreign(document: dict[str, Any], known: Schemas) -> bool:
    """Whether its kind is neither Kubernetes' own nor of a group of which kinds are known."""
    groups = OWN_GROUPS | {_group(api_version) for api_version, _ in known}
    return bool(document.get("apiVersion")) and _group(str(document["apiVersion"])) not in groups


def _group(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def misfits_of(value: object, kind: str, at: str = "") -> Iterator[str]:
    """The same for a part of a manifest that is a kind of Kubernetes' own, such as V1PodTemplateSpec."""
    if part := re.fullmatch(r"List\[(.+)\]", kind):
        yield from _each(value, list, part[1], at)
    elif part := re.fullmatch(r"Dict\[str, (.+)\]", kind):
        yield from _each(value, dict, part[1], at)
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind != "bool" and isinstance(value, bool)):
            yield f"{at} must be {kind}, not {value!r}"
    elif hasattr(getattr(models, kind, None), "attribute_map"):
        yield from _of_model(value, getattr(models, kind), at)


def _of_model(value: object, model: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} must be object, not {value!r}"
        return
    types = {name: model.openapi_types[attribute] for attribute, name in model.attribute_map.items()}
    for name, part in value.items():
        if name in types:
            yield from misfits_of(part, types[name], _path(at, name))
        else:
            yield _unknown(at, name)


def _each(value: object, container: type, kind: str, at: str) -> Iterator[str]:
    parts: Iterable[tuple[Any, object]]
    if container is list and isinstance(value, list):
        parts = enumerate(value)
    elif container is dict and isinstance(value, dict):
        parts = value.items()
    else:
        yield f"{at} must be {'array' if container is list else 'object'}, not {value!r}"
        return
    for key, part in parts:
        yield from misfits_of(part, kind, _path(at, key))


def _closed(schema: Any) -> Any:
    """A schema of OpenAPI as one of JSON, in which a field that is not named is an error."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _closed(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    if isinstance(schema.get("properties"), dict) and not is_open:
        schema["additionalProperties"] = False
    return schema


def _said(error: ValidationError) -> str:
    at = _path(*error.absolute_path)
    wanted, found, schema = cast(Any, (error.validator_value, error.instance, error.schema))
    match error.validator:
        case "additionalProperties":
            return " and ".join(_unknown(at, name) for name in found if name not in schema["properties"])
        case "required":
            return f"{at or 'it'} lacks {next(name for name in wanted if name not in found)}"
        case "type":
            return f"{at} must be {wanted}, not {found!r}"
        case "enum":
            return f"{at} must be one of {', '.join(wanted)}, not {found!r}"
        case "minimum":
            return f"{at} must be at least {wanted}, not {found!r}"
    return f"{at}: {error.message}"


def _unknown(at: str, name: str) -> str:
    return f"{at or 'it'} has no field {name}"


def _path(*parts: object) -> str:
    return ".".join(str(part) for part in parts if part != "")
