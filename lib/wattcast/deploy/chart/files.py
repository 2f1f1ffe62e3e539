"""The files of the Helm chart."""

import json
from collections import defaultdict
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from wattcast.deploy.chart.placeholders import Values, insert_placeholders, template_text
from wattcast.deploy.manifests.documents import API_VERSION, Manifest, to_yaml
from wattcast.deploy.manifests.rendering import rendered_documents
from wattcast.deploy.manifests.settings_digest import with_settings_digests

HEAD = "# Written by `python -m wattcast.deploy.chart` from k8s/overlays/prod: change it there.\n"
COMMENTS = {
    "image": "the image of every application and of the API",
    "env": "settings as variables (lib/wattcast/settings.py), such as the addresses of Kafka and of the lake; values are texts",
    "state": "the volume of lake, checkpoints and models; with the lake in an object store: "
    "{persistentVolumeClaim: null, emptyDir: {}}",
    "claim": "the spec of the claim, such as its storage class; null where the volume above is no claim of the chart",
    "priorityClasses": "false where another release of the cluster has created them",
    "operator": "the account of the Spark operator's controller",
    "api": "the REST API and the dashboard",
    "applications": "the Spark applications, which `enabled: false` leaves out, with the sizes of their pods",
}  # each a line of values.yaml above its key, in this order


def chart_files() -> dict[str, str]:
    """The text of each file of the chart by its path. The namespace is that of the release, so the chart has none."""
    values = Values()
    templates: dict[str, list[str]] = defaultdict(list)
    for document in _documents():
        name = _file_name(document)
        condition = insert_placeholders(document, values)
        templates[name].append(_template(document, condition))
    texts = {f"templates/{name}": HEAD + "---\n".join(parts) for name, parts in templates.items()}
    return {"Chart.yaml": _chart(), "values.yaml": _values_text(values.tree), **texts}


def _documents() -> list[Manifest]:
    """Those of the overlay but its namespace, in an order that does not depend on the version of kustomize."""
    documents = [document for document in rendered_documents("prod") if document["kind"] != "Namespace"]
    documents.sort(key=lambda document: (document["kind"], document["metadata"]["name"]))
    return [json.loads(json.dumps(document, sort_keys=True)) for document in with_settings_digests(documents)]


def _template(document: Manifest, condition: str) -> str:
    text = template_text(to_yaml(document))
    return f"{{{{- if .Values.{condition} }}}}\n{text}{{{{- end }}}}\n" if condition else text


def _file_name(document: Manifest) -> str:
    """A file for each application, and one for each other kind."""
    is_application = document["apiVersion"] == API_VERSION
    return f"{document['metadata']['name'] if is_application else document['kind'].lower()}.yaml"


def _chart() -> str:
    release = version("wattcast")
    chart = {
        "apiVersion": "v2", "name": "wattcast", "type": "application", "version": release, "appVersion": release,
        "description": "Hourly energy forecasts for buildings, by the Spark operator",
    }  # fmt: skip
    return HEAD + to_yaml(chart)


def _values_text(tree: Mapping[str, Any]) -> str:
    sections = (f"# {COMMENTS[key][0].upper()}{COMMENTS[key][1:]}.\n{to_yaml({key: tree[key]})}" for key in COMMENTS)
    return HEAD + "\n".join(sections)
