"""Pod templates that name the settings that they were deployed with, so that changed settings restart their pods.

Pods read ConfigMaps and Secrets when they start. A digest of these in the pod template changes the template when they change:
the operator then restarts the application, and Kubernetes the pods of a Deployment or StatefulSet.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from copy import deepcopy

from wattcast.deploy.manifests.documents import API_VERSION, Manifest, is_server, is_streaming
from wattcast.deploy.manifests.references import references

ANNOTATION = "wattcast/settings-digest"
CONTENT = ("data", "binaryData", "stringData")  # of a ConfigMap or Secret


def with_settings_digests(documents: Sequence[Manifest]) -> list[Manifest]:
    """The documents, with the digest of the settings in each pod template that reads settings and runs without end.

    Only ConfigMaps and Secrets among the documents count: deployers may not read other Secrets. An application that ends gets no
    digest, because the operator would run it once more; the next run reads the new settings.
    """
    content = {_key(document): {field: document.get(field) for field in CONTENT} for document in documents}
    return [_with_digest(document, content) for document in documents]


def _with_digest(document: Manifest, content: dict[tuple[str, str, str], Manifest]) -> Manifest:
    namespace = document["metadata"].get("namespace", "")
    document = deepcopy(document)
    for template in _templates(document):
        named = sorted(set(references(document["spec"], with_optional=True)))
        settings = [[kind, name, content[key]] for kind, name in named if (key := (kind, name, namespace)) in content]
        if settings:
            digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
            template.setdefault("metadata", {}).setdefault("annotations", {})[ANNOTATION] = digest
    return document


def _key(document: Manifest) -> tuple[str, str, str]:
    return document["kind"], document["metadata"]["name"], document["metadata"].get("namespace", "")


def _templates(document: Manifest) -> Iterator[Manifest]:
    """The pod template whose change restarts the pods; none for other documents."""
    if document["apiVersion"] == API_VERSION:
        if is_streaming(document):
            yield document["spec"]["driver"]["template"]
    elif is_server(document):
        yield document["spec"]["template"]
