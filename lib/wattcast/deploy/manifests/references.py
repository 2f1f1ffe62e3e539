"""The Secrets, ConfigMaps and claims that a pod refers to."""

from collections.abc import Iterator
from typing import Any

KINDS = {
    "secretRef": "Secret", "secretKeyRef": "Secret", "secret": "Secret",
    "configMapRef": "ConfigMap", "configMapKeyRef": "ConfigMap", "configMap": "ConfigMap",
    "persistentVolumeClaim": "PersistentVolumeClaim",
}  # fmt: skip
NAME_FIELDS = ("name", "secretName", "claimName")


def references(value: Any, *, with_optional: bool = False) -> Iterator[tuple[str, str]]:
    """Kind and name of each object that a spec refers to; without those that its pods can start without."""
    if isinstance(value, list):
        for item in value:
            yield from references(item, with_optional=with_optional)
    elif isinstance(value, dict):
        for key, part in value.items():
            if key in KINDS and isinstance(part, dict) and (with_optional or not part.get("optional")):
                yield from ((KINDS[key], part[field]) for field in NAME_FIELDS if field in part)
            yield from references(part, with_optional=with_optional)
