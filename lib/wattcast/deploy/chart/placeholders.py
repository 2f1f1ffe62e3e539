"""Placeholders for the values that differ between clusters, in the documents of a chart.

An expression of a template ends with `| toJson`: JSON is YAML, so a value may be a text, a number or a map. Beside expressions
there are only conditions around whole documents.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from wattcast.deploy.manifests.documents import Manifest, is_streaming, spark_spec
from wattcast.deploy.manifests.rendering import SERVER_CONTAINERS
from wattcast.deploy.manifests.settings_digest import ANNOTATION

MARK = re.compile(r"HELM<(.+?)>")
RELEASE_NAMESPACE = "HELM<.Release.Namespace | toJson>"
VALUES_DIGEST = "HELM<.Values.env | toJson | sha256sum | toJson>"
VALUES_ANNOTATION = "wattcast/values-digest"  # beside that of the settings in the chart itself
KEEP = {"helm.sh/resource-policy": "keep"}  # the removal of a release must not remove data
OPERATOR = "spark-operator-network-policies"  # the RoleBinding of the operator's account
SIZES = ("instances", "cores", "coreRequest", "coreLimit", "memory", "memoryOverhead")


@dataclass
class Values:
    """The default values of the placeholders, as values.yaml has them."""

    tree: dict[str, Any] = field(default_factory=dict)

    def take(self, owner: Any, part: Any, *keys: str) -> None:
        """Make a part of a dictionary or list the value of these keys, and put a placeholder in its place.

        Raises:
            ValueError: these keys have another default in another document.
        """
        place = self.tree
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        if place.setdefault(keys[-1], owner[part]) != owner[part]:
            raise ValueError(f"The value {'.'.join(keys)} has two defaults: {place[keys[-1]]} and {owner[part]}.")
        owner[part] = f"HELM<.Values.{'.'.join(keys)} | toJson>"


def insert_placeholders(document: Manifest, values: Values) -> str:
    """Replace what differs between clusters by placeholders, in place; returns the value without which the document is left
    out, or nothing."""
    metadata = document["metadata"]
    if "namespace" in metadata:
        metadata["namespace"] = RELEASE_NAMESPACE
    match document["kind"]:
        case "SparkApplication" | "ScheduledSparkApplication":
            return _application(document, values)
        case "Deployment":
            _server(document, values)
        case "HorizontalPodAutoscaler":
            values.take(document["spec"], "minReplicas", metadata["name"], "minReplicas")
            values.take(document["spec"], "maxReplicas", metadata["name"], "maxReplicas")
        case "ConfigMap" if metadata["name"] == "wattcast-env":
            values.take(document, "data", "env")
        case "RoleBinding":
            _binding(document, values)
        case "PersistentVolumeClaim":
            values.take(document, "spec", "claim")
            metadata["annotations"] = metadata.get("annotations", {}) | KEEP
            return "claim"
        case "PriorityClass":
            values.tree["priorityClasses"] = True
            return "priorityClasses"
    return ""


def template_text(text: str) -> str:
    """The YAML text with marks as expressions of a template. Raises ValueError if Helm would take other text for expressions."""
    if "{{" in text:
        raise ValueError("A text with {{ cannot be in a chart: Helm would take it for an expression.")
    return MARK.sub(r"{{ \1 }}", text)


def _application(document: Manifest, values: Values) -> str:
    keys = ("applications", _camel_case(document["metadata"]["name"]))
    spec = spark_spec(document)
    values.take(spec, "image", "image")
    values.tree.setdefault(keys[0], {}).setdefault(keys[1], {})["enabled"] = True
    if "schedule" in document["spec"]:
        values.take(document["spec"], "schedule", *keys, "schedule")
    if "dynamicAllocation" in spec:
        values.take(spec, "dynamicAllocation", *keys, "dynamicAllocation")
    for role in ("driver", "executor"):
        for size in SIZES:
            if size in spec[role]:
                values.take(spec[role], size, *keys, role, size)
        _state_volume(spec[role]["template"], values)
    if is_streaming(document):
        _values_digest(spec["driver"]["template"])
    return ".".join((*keys, "enabled"))


def _server(document: Manifest, values: Values) -> None:
    template = document["spec"]["template"]
    for container in template["spec"]["containers"]:
        if container["name"] in SERVER_CONTAINERS:
            values.take(container, "image", "image")
            values.take(container, "resources", container["name"], "resources")
    _state_volume(template, values)
    _values_digest(template)


def _state_volume(template: Manifest, values: Values) -> None:
    volumes = template["spec"]["volumes"]
    (number,) = [number for number, volume in enumerate(volumes) if volume["name"] == "state"]
    values.take(volumes, number, "state")


def _values_digest(template: Manifest) -> None:
    """Changed values restart the pods that read settings."""
    annotations = template["metadata"].get("annotations", {})
    if ANNOTATION in annotations:
        annotations[VALUES_ANNOTATION] = VALUES_DIGEST


def _binding(document: Manifest, values: Values) -> None:
    for subject in document["subjects"]:
        if document["metadata"]["name"] == OPERATOR:
            values.take(subject, "name", "operator", "serviceAccount")
            values.take(subject, "namespace", "operator", "namespace")
        else:
            subject["namespace"] = RELEASE_NAMESPACE


def _camel_case(name: str) -> str:
    """The name as a key of values, which must not contain hyphens."""
    first, *others = name.split("-")
    return first + "".join(part.capitalize() for part in others)
