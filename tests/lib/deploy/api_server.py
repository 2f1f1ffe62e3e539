"""A small API server over HTTP: it stores objects with their field ownership; hooks can refuse requests or break connections."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

Object = dict[str, Any]
CRDS = Path(__file__).parents[2] / "k8s/crds"
SPARK = "/apis/sparkoperator.k8s.io/v1beta2"
KINDS = {  # by the root of their paths: plural, and whether of a namespace
    "/api/v1": {
        "Namespace": ("namespaces", False), "Pod": ("pods", True), "Event": ("events", True), "Secret": ("secrets", True),
        "ConfigMap": ("configmaps", True), "PersistentVolumeClaim": ("persistentvolumeclaims", True),
        "ServiceAccount": ("serviceaccounts", True),
    },
    "/apis/apps/v1": {"Deployment": ("deployments", True), "StatefulSet": ("statefulsets", True)},
    "/apis/rbac.authorization.k8s.io/v1": {"Role": ("roles", True)},
    "/apis/coordination.k8s.io/v1": {"Lease": ("leases", True)},
    SPARK: {
        "SparkApplication": ("sparkapplications", True),
        "ScheduledSparkApplication": ("scheduledsparkapplications", True),
    },
}  # fmt: skip
RESET = 0  # in the place of a status: the connection breaks off


class ApiServer:
    """Objects by path, the requests, and two hooks: `answer` replaces an answer, `after_change` runs after a change."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}  # a value of bytes is a log
        self.requests: list[str] = []
        self.answer: Callable[[str, str], tuple[int, str] | None] = lambda _, __: None
        self.after_change: Callable[[str, Object], None] = lambda _, __: None
        self.address = ""
        self._version = 0

    def requests_of(self, method: str) -> list[str]:
        return [each.split()[1] for each in self.requests if each.startswith(f"{method} ")]

    def put(self, path: str, value: Object, *, manager: str = "wattcast") -> Object:
        """Keep an object in the place of what is there; what others know of it stays."""
        before = self.objects.get(path, {})
        self._version += 1
        is_changed = value.get("spec") != before.get("spec")
        generation = before.get("metadata", {}).get("generation", 0) + is_changed
        server = {"uid": "1", "resourceVersion": str(self._version), "generation": generation}
        noted = [{"manager": manager, "operation": "Apply", "fieldsV1": _fields(value)}]
        made = deepcopy(value) | ({"status": before["status"]} if "status" in before else {})
        made["metadata"] |= server | {"creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": noted}
        self.objects[path] = made
        return made

    def done(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Object]:
        if answer := self.answer(method, path):
            return answer[0], _status(*answer)
        if path in KINDS:
            kinds = KINDS[path].items()
            return 200, {"resources": [{"kind": k, "name": name, "namespaced": is_in} for k, (name, is_in) in kinds]}
        if path.startswith("/openapi/v3"):
            return 200, _open_api()
        match method:
            case "GET":
                return self._got(path, query)
            case "POST":
                path = f"{path}/{body['metadata']['name']}"
                return self._conflict(path, None) or (201, self._stored(path, body, query))
            case "PUT":
                conflict = self._conflict(path, body["metadata"]["resourceVersion"])
                return conflict or (200, self._stored(path, body, query))
            case "PATCH":
                return self._patched(path, query, body)
            case _:
                return self._deleted(path)

    def _got(self, path: str, query: dict[str, list[str]]) -> tuple[int, Object]:
        if path in self.objects:
            return 200, self.objects[path]
        if path.rpartition("/")[2] not in {name for kinds in KINDS.values() for name, _ in kinds.values()}:
            return 404, _status(404, "not found")
        wanted = [each.split("=") for each in query.get("labelSelector", [""])[0].split(",") if each]
        items = [each for key, each in self.objects.items() if re.fullmatch(rf"{re.escape(path)}/[^/]+", key)]
        return 200, {"items": [each for each in items if all(_labels(each).get(key) == value for key, value in wanted)]}

    def _conflict(self, path: str, version: str | None) -> tuple[int, Object] | None:
        """The answer to a request for another version than that of the object; None where the versions agree."""
        current = self.objects.get(path, {}).get("metadata", {}).get("resourceVersion")
        return None if current == version else (409, _status(409, "the object has been modified"))

    def _patched(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Object]:
        if found := re.match(r"/apis?/.*/namespaces/([^/]+)/", path):
            space = self.objects.get(f"/api/v1/namespaces/{found[1]}")
            if space is None:
                return 404, _status(404, f'namespaces "{found[1]}" not found')
            if "deletionTimestamp" in space["metadata"]:
                return 403, _status(
                    403, f"unable to create new content in namespace {found[1]}: it is being terminated"
                )
        return 200, self._stored(path, body, query)

    def _stored(self, path: str, body: Object, query: dict[str, list[str]]) -> Object:
        if "dryRun" in query:
            return deepcopy(body)
        made = self.put(path, body)
        self.after_change(path, made)
        return self.objects.get(path, made)

    def _deleted(self, path: str) -> tuple[int, Object]:
        if path not in self.objects:
            return 404, _status(404, "not found")
        gone = self.objects[path]
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:  # which takes its time
            gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        else:
            del self.objects[path]
        return 200, gone


@contextmanager
def serving() -> Iterator[ApiServer]:
    """The server at an address of this machine."""
    state = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            split = urlsplit(self.path)
            path, query = unquote(split.path), parse_qs(split.query)
            body = yaml.safe_load(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            state.requests.append(f"{self.command} {path}" + (" dry" if "dryRun" in query else ""))
            status, said = state.done(self.command, path, query, body)
            if status == RESET:
                self.close_connection = True
                return
            text = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def kubeconfig(address: str, namespace: str) -> str:
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": address}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
    })  # fmt: skip


def _fields(value: Object) -> Object:
    """The notes on who owns what is applied; lists as a whole."""
    return {
        f"f:{key}": _fields(part) if isinstance(part, dict) else {}
        for key, part in value.items()
        if key not in ("apiVersion", "kind", "status", "name", "namespace")
    }


def _labels(thing: Object) -> dict[str, str]:
    return dict(thing["metadata"].get("labels", {}))


def _status(code: int, message: str) -> Object:
    reason = {403: "Forbidden", 404: "NotFound"}.get(code, "")
    return {"kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": message}


def _open_api() -> Object:
    """The operator's kinds, as the API server describes them."""
    found = {}
    for file in sorted(CRDS.glob("*.json")):
        crd = json.loads(file.read_text(encoding="utf-8"))["spec"]
        (version,) = crd["versions"]
        kind = {"group": crd["group"], "version": version["name"], "kind": crd["names"]["kind"]}
        found[kind["kind"]] = version["schema"]["openAPIV3Schema"] | {"x-kubernetes-group-version-kind": [kind]}
    return {"components": {"schemas": found}}
