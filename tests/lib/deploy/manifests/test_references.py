"""The objects that pods refer to."""

from typing import Any

from wattcast.deploy.manifests.references import references

SPEC: dict[str, Any] = {
    "containers": [{
        "envFrom": [{"secretRef": {"name": "a"}}, {"secretRef": {"name": "b", "optional": True}}],
        "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "g", "key": "password"}}}],
    }],
    "volumes": [
        {"configMap": {"name": "c"}}, {"secret": {"secretName": "d"}}, {"persistentVolumeClaim": {"claimName": "e"}},
        {"projected": {"sources": [{"secret": {"name": "h"}}, {"configMap": {"name": "i", "optional": True}}]}},
    ],
    "template": {"spec": [{"envFrom": [{"configMapRef": {"name": "f"}}]}]},
}  # fmt: skip
NEEDED = {
    ("Secret", "a"), ("ConfigMap", "c"), ("Secret", "d"), ("PersistentVolumeClaim", "e"), ("ConfigMap", "f"),
    ("Secret", "g"), ("Secret", "h"),
}  # fmt: skip


def test_references_are_found_at_any_depth_but_for_optional_ones() -> None:
    assert set(references(SPEC)) == NEEDED


def test_optional_references_are_found_on_request() -> None:
    assert set(references(SPEC, with_optional=True)) == NEEDED | {("Secret", "b"), ("ConfigMap", "i")}
