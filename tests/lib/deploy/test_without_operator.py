"""A cluster without the Spark operator is told so, and nothing is sent to it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

NOT_FOUND = {
    "kind": "Status",
    "apiVersion": "v1",
    "status": "Failure",
    "reason": "NotFound",
    "code": 404,
    "message": "not found",
}


class Empty(BaseHTTPRequestHandler):
    """An API server that has nothing, and keeps what it was asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.answered()

    def do_PATCH(self) -> None:
        self.answered()

    def do_POST(self) -> None:
        self.answered()

    def answered(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        body = json.dumps(NOT_FOUND).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    Empty.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "me", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "wattcast-dev"}}],
    }))  # fmt: skip
    yield file
    server.shutdown()
    server.server_close()


def test_deployment_to_a_cluster_without_operator_is_refused_and_sends_nothing(kubeconfig: Path) -> None:
    program = Path(sys.executable).with_name("wattcast")
    manifests = Path(__file__).parents[3] / "k8s/spark-apps/ingest.yaml"
    done = subprocess.run(
        [program, "deploy", "--manifests", manifests], env=os.environ | {"KUBECONFIG": str(kubeconfig)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "The cluster has no Spark operator: it does not know sparkoperator.k8s.io/v1beta2. "
        "k8s/README.md says how to install it.\n"
    )
    assert Empty.asked == ["GET /openapi/v3/apis/sparkoperator.k8s.io/v1beta2"]
