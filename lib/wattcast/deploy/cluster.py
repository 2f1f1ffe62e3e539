"""A cluster through its API server. What it refuses, and that it cannot be reached, is said in a sentence."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kubernetes import client, config
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError, ForbiddenError, NotFoundError
from urllib3.exceptions import HTTPError

from wattcast.deploy.manifests import Manifest

FIELD_MANAGER = "wattcast"
TIMEOUT_SECONDS = (5, 60)  # to connect, to answer
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
OWN_OF_SERVER = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


class Refused(Exception):
    """What was asked for cannot be done; the cluster is as it was."""


class Forbidden(Refused):
    """Whoever asks has no right to it."""


class Absent(Refused):
    """There is nothing of that name."""


class Unanswered(Refused):
    """The API server cannot be reached or cannot answer now; it may have done what it was asked all the same."""


class Failed(Exception):
    """What was asked for was begun and did not come to its end."""


class Cluster:
    """The cluster of a context of the kubeconfig or, without one, that of the pod which this runs in."""

    def __init__(self, context: str = "") -> None:
        configuration = client.Configuration()
        self.own_namespace = _configured(configuration, context)
        configuration.retries = False  # an address that does not answer is said at once
        self.host = configuration.host
        self._known: dict[str, dict[str, tuple[str, bool]]] = {}
        # Paths are made here: the discovery of the client keeps a file for all users in a folder for temporary files.
        self._client = DynamicClient(client.ApiClient(configuration), discoverer=lambda *_: None)

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """The object, or None where there is none."""
        return self._found("get", self._path(api_version, kind, name, namespace))

    def live(self, document: Manifest) -> Manifest | None:
        """What the cluster has in the place of a document."""
        return self.get(*place(document))

    def objects(self, api_version: str, kind: str, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Objects of a kind: of a namespace, or of all."""
        found = self._json("get", self._path(api_version, kind, "", namespace), label_selector=labels or None)
        return [{"apiVersion": api_version, "kind": kind, **each} for each in found["items"]]

    def apply(self, document: Manifest, *, dry_run: bool = False, force: bool = False) -> Manifest:
        """What a document makes of the object, or with `dry_run` would make; fields that its kind has not are refused."""
        return self._json(
            "patch", self._path(*place(document)), about=_title(document), body=document,
            content_type="application/apply-patch+yaml", field_manager=FIELD_MANAGER, force_conflicts=force or None,
            dry_run="All" if dry_run else None, query_params=[("fieldValidation", "Strict")],
        )  # fmt: skip

    def create(self, document: Manifest) -> Manifest:
        api_version, kind, _, namespace = place(document)
        return self._json(
            "post", self._path(api_version, kind, "", namespace), about=_title(document), body=document,
            field_manager=FIELD_MANAGER, query_params=[("fieldValidation", "Strict")],
        )  # fmt: skip

    def merge(self, document: Manifest, changes: Manifest, subresource: str = "") -> Manifest:
        """Change fields that `apply` does not name; they stay when it is done again."""
        return self._json(
            "patch", self._path(*place(document)) + (f"/{subresource}" if subresource else ""), about=_title(document),
            body=changes, content_type="application/merge-patch+json", field_manager=f"{FIELD_MANAGER}-lifecycle",
        )  # fmt: skip

    def delete(self, document: Manifest) -> bool:
        """Delete an object, its pods with the time that they have to end; whether it was there."""
        path = self._path(*place(document))
        return self._found("delete", path, about=_title(document), propagation_policy="Background") is not None

    def lines(
        self, pod: str, namespace: str, *, follow: bool = False, previous: bool = False, tail: int = 0
    ) -> Iterator[str]:
        """What the first container of a pod has written."""
        query = {"follow": follow, "previous": previous, "tailLines": tail or None}
        given = [(key, str(value).lower()) for key, value in query.items() if value]
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        timeout = (TIMEOUT_SECONDS[0], None if follow else TIMEOUT_SECONDS[1])
        held = b""
        try:
            response = self._response("get", path, query_params=given, timeout=timeout)
            for part in response.stream(2**14):
                *whole, held = (held + part).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
        except DynamicApiError as error:
            raise Refused(_said(error, "")) from error
        except HTTPError as error:
            raise Failed(f"The log of {pod} broke off: {error}.") from error
        if held:
            yield held.decode(errors="replace")

    def open_api(self, api_version: str) -> Manifest | None:
        """The schemas of a group's kinds, which everyone may read; None where the cluster has no such group."""
        return self._found("get", f"/openapi/v3/apis/{api_version}")

    def _path(self, api_version: str, kind: str, name: str = "", namespace: str = "") -> str:
        plural, is_namespaced = self._kinds(api_version).get(kind, ("", False))
        if not plural:
            raise Refused(f"The cluster has no kind {kind} of {api_version}.")
        within = f"/namespaces/{quote(namespace)}" if is_namespaced and namespace else ""
        return f"{_root(api_version)}{within}/{plural}" + (f"/{quote(name)}" if name else "")

    def _kinds(self, api_version: str) -> dict[str, tuple[str, bool]]:
        """By kind, the name in paths and whether it is of a namespace."""
        if api_version not in self._known:
            resources = (self._found("get", _root(api_version)) or {"resources": []})["resources"]
            self._known[api_version] = {
                each["kind"]: (each["name"], each["namespaced"]) for each in resources if "/" not in each["name"]
            }
        return self._known[api_version]

    def _found(self, method: str, path: str, **options: Any) -> Manifest | None:
        """The answer, or None where there is nothing of that path."""
        try:
            return self._json(method, path, **options)
        except Absent:
            return None

    def _json(self, method: str, path: str, *, about: str = "", **options: Any) -> Manifest:
        try:
            answer: Manifest = json.loads(self._response(method, path, **options).data)
        except DynamicApiError as error:
            raise _kind(error)(_said(error, about)) from error
        except HTTPError as error:
            raise self._unanswered(error) from error
        return answer

    def _response(self, method: str, path: str, *, timeout: Any = TIMEOUT_SECONDS, **options: Any) -> Any:
        """The answer as it comes in.

        Raises:
            DynamicApiError: the server refuses it.
            Unanswered: it cannot be reached.
        """
        try:
            return self._client.request(method, path, serialize=False, _request_timeout=timeout, **options)
        except (HTTPError, OSError) as error:
            raise self._unanswered(error) from error

    def _unanswered(self, error: Exception) -> Unanswered:
        return Unanswered(f"The cluster at {self.host} cannot be reached: {_cause(error)}.")


def place(document: Manifest) -> tuple[str, str, str, str]:
    """apiVersion, kind, name and namespace."""
    metadata = document["metadata"]
    return document["apiVersion"], document["kind"], metadata["name"], metadata.get("namespace", "")


def plain(document: Manifest) -> Manifest:
    """An object without what the server alone writes."""
    metadata = {key: value for key, value in document["metadata"].items() if key not in OWN_OF_SERVER}
    return {**{key: value for key, value in document.items() if key != "status"}, "metadata": metadata}


def _title(document: Manifest) -> str:
    return f"{document['kind']} {document['metadata']['name']}"


def _kind(error: DynamicApiError) -> type[Refused]:
    if error.status == TOO_MANY_REQUESTS or error.status >= SERVER_ERROR:
        return Unanswered
    return {NotFoundError: Absent, ForbiddenError: Forbidden}.get(type(error), Refused)


def _said(error: DynamicApiError, about: str) -> str:
    """What the server says, on one line."""
    text = _sentence(error.summary())
    if text.startswith("Apply failed with"):  # fields that another field manager has set
        text += " To take them over, say --force."
    return f"{about} is refused: {text}" if about else text


def _configured(configuration: client.Configuration, context: str) -> str:
    """Fill in address and credentials; returns the namespace that goes with them."""
    try:
        if not context and not os.environ.get("KUBECONFIG") and (SERVICE_ACCOUNT / "token").exists():
            config.load_incluster_config(client_configuration=configuration)
            return (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
        config.load_kube_config(context=context or None, client_configuration=configuration)
        contexts, active = config.list_kube_config_contexts()
    except (config.ConfigException, OSError) as error:
        raise Refused(f"There is no cluster to talk to: {_sentence(str(error))}") from error
    chosen = next((each for each in contexts if each["name"] == context), active)
    return str(chosen["context"].get("namespace", ""))


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _cause(error: Exception) -> str:
    """The innermost reason, without the objects that urllib3 puts before it."""
    while (inner := getattr(error, "reason", None)) is not None and isinstance(inner, Exception):
        error = inner
    return str(error).rpartition(">: ")[2].rpartition("): ")[2].rstrip(".")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith(".") else f"{text}."
