"""A client of the Kubernetes API server. Each error is one sentence."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from kubernetes import client
from kubernetes.dynamic import DynamicClient
from kubernetes.dynamic.exceptions import DynamicApiError, ForbiddenError, NotFoundError
from urllib3.exceptions import HTTPError

from wattcast.deploy.cluster.kubeconfig import load_configuration
from wattcast.deploy.errors import Failed, Forbidden, NotFound, Refused, Unreachable
from wattcast.deploy.manifests.documents import Manifest, resource_id, title

FIELD_MANAGER = "wattcast"
TIMEOUT_SECONDS = (5, 60)  # to connect, to answer
TOO_MANY_REQUESTS, SERVER_ERROR = 429, 500
LOG_CHUNK_BYTES = 2**14


class Cluster:
    """The cluster of a context of the kubeconfig; without a kubeconfig, the cluster of the pod that runs this code.

    Every method raises Refused or a subclass when the API server refuses the request or does not answer.
    """

    def __init__(self, context: str = "") -> None:
        configuration = client.Configuration()
        self.default_namespace = load_configuration(configuration, context)
        configuration.retries = False  # report an address that does not answer at once
        self.host = configuration.host
        self._kinds_by_version: dict[str, dict[str, tuple[str, bool]]] = {}
        # This class builds the paths itself: the discovery of DynamicClient would write a cache file that all users share.
        self._client = DynamicClient(client.ApiClient(configuration), discoverer=lambda *_: None)

    def get(self, api_version: str, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """The object, or None if it does not exist."""
        return self._json_or_none("get", self._path(api_version, kind, name, namespace))

    def live(self, document: Manifest) -> Manifest | None:
        """The object that the cluster has for a document, or None."""
        return self.get(*resource_id(document))

    def objects(self, api_version: str, kind: str, namespace: str = "", labels: str = "") -> list[Manifest]:
        """The objects of a kind in one namespace, or in all namespaces."""
        answer = self._json("get", self._path(api_version, kind, "", namespace), label_selector=labels or None)
        return [{"apiVersion": api_version, "kind": kind, **item} for item in answer["items"]]

    def apply(self, document: Manifest, *, dry_run: bool = False, force: bool = False) -> Manifest:
        """Server-side apply; returns the resulting object. Unknown fields are refused."""
        return self._json(
            "patch", self._path(*resource_id(document)), subject=title(document), body=document,
            content_type="application/apply-patch+yaml", field_manager=FIELD_MANAGER, force_conflicts=force or None,
            dry_run="All" if dry_run else None, query_params=[("fieldValidation", "Strict")],
        )  # fmt: skip

    def create(self, document: Manifest) -> Manifest:
        """Create an object and return it."""
        api_version, kind, _, namespace = resource_id(document)
        return self._json(
            "post", self._path(api_version, kind, "", namespace), subject=title(document), body=document,
            field_manager=FIELD_MANAGER, query_params=[("fieldValidation", "Strict")],
        )  # fmt: skip

    def merge(self, document: Manifest, changes: Manifest, subresource: str = "") -> Manifest:
        """Merge fields that `apply` does not set, under another field manager: the next `apply` leaves them as they are."""
        path = self._path(*resource_id(document)) + (f"/{subresource}" if subresource else "")
        return self._json(
            "patch", path, subject=title(document), body=changes,
            content_type="application/merge-patch+json", field_manager=f"{FIELD_MANAGER}-lifecycle",
        )  # fmt: skip

    def delete(self, document: Manifest) -> bool:
        """Delete an object, with the grace period of its pods; returns whether it existed."""
        path = self._path(*resource_id(document))
        answer = self._json_or_none("delete", path, subject=title(document), propagation_policy="Background")
        return answer is not None

    def coordination_api(self) -> client.CoordinationV1Api:
        """The Leases of this cluster; unlike the methods of this class, it raises ApiException."""
        return client.CoordinationV1Api(self._client.client)

    def log_lines(
        self, pod: str, namespace: str, *, follow: bool = False, previous: bool = False, tail: int = 0
    ) -> Iterator[str]:
        """The log of the first container of a pod."""
        options = {"follow": follow, "previous": previous, "tailLines": tail or None}
        query = [(key, str(value).lower()) for key, value in options.items() if value]
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        timeout = (TIMEOUT_SECONDS[0], None if follow else TIMEOUT_SECONDS[1])
        rest = b""
        try:
            response = self._response("get", path, query_params=query, timeout=timeout)
            for chunk in response.stream(LOG_CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except DynamicApiError as error:
            raise Refused(_message(error, "")) from error
        except HTTPError as error:
            raise Failed(f"Reading the log of {pod} failed: {error}.") from error
        if rest:
            yield rest.decode(errors="replace")

    def open_api(self, api_version: str) -> Manifest | None:
        """The schemas of a group's kinds, which every account may read; None if the cluster does not have the group."""
        return self._json_or_none("get", f"/openapi/v3/apis/{api_version}")

    def _path(self, api_version: str, kind: str, name: str = "", namespace: str = "") -> str:
        plural, is_namespaced = self._kinds(api_version).get(kind, ("", False))
        if not plural:
            raise Refused(f"The cluster has no kind {kind} in the API {api_version}.")
        within = f"/namespaces/{quote(namespace)}" if is_namespaced and namespace else ""
        return f"{_root(api_version)}{within}/{plural}" + (f"/{quote(name)}" if name else "")

    def _kinds(self, api_version: str) -> dict[str, tuple[str, bool]]:
        """By kind: its name in paths, and whether its objects belong to a namespace."""
        if api_version not in self._kinds_by_version:
            answer = self._json_or_none("get", _root(api_version)) or {"resources": []}
            self._kinds_by_version[api_version] = {
                resource["kind"]: (resource["name"], resource["namespaced"])
                for resource in answer["resources"]
                if "/" not in resource["name"]
            }
        return self._kinds_by_version[api_version]

    def _json_or_none(self, method: str, path: str, **options: Any) -> Manifest | None:
        try:
            return self._json(method, path, **options)
        except NotFound:
            return None

    def _json(self, method: str, path: str, *, subject: str = "", **options: Any) -> Manifest:
        """The answer as JSON. `subject` is what the request is about, for the message of an error."""
        try:
            answer: Manifest = json.loads(self._response(method, path, **options).data)
        except DynamicApiError as error:
            raise _error_class(error)(_message(error, subject)) from error
        except HTTPError as error:
            raise self._unreachable(error) from error
        return answer

    def _response(self, method: str, path: str, *, timeout: Any = TIMEOUT_SECONDS, **options: Any) -> Any:
        """The response, whose body is not read yet. Raises DynamicApiError or Unreachable."""
        try:
            return self._client.request(method, path, serialize=False, _request_timeout=timeout, **options)
        except (HTTPError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"The cluster at {self.host} cannot be reached: {_root_cause(error)}.")


def _error_class(error: DynamicApiError) -> type[Refused]:
    if error.status == TOO_MANY_REQUESTS or error.status >= SERVER_ERROR:
        return Unreachable
    return {NotFoundError: NotFound, ForbiddenError: Forbidden}.get(type(error), Refused)


def _message(error: DynamicApiError, subject: str) -> str:
    """The message of the API server on one line."""
    text = " ".join(error.summary().split())
    if not text.endswith("."):
        text += "."
    if text.startswith("Apply failed with"):  # a conflict with fields of another field manager
        text += " Use --force to take these fields over."
    return f"{subject} is refused: {text}" if subject else text


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _root_cause(error: Exception) -> str:
    """The innermost reason, without the representations of objects that urllib3 puts before it."""
    while (inner := getattr(error, "reason", None)) is not None and isinstance(inner, Exception):
        error = inner
    return str(error).rpartition(">: ")[2].rpartition("): ")[2].rstrip(".")
