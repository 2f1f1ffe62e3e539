"""An API server for tests of the cluster commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lib.deploy.api_server import ApiServer, kubeconfig, serving
from tests.lib.deploy.documents import CORE, NAMESPACE, kubernetes_object

from wattcast.deploy.cluster import polling
from wattcast.deploy.rollout import rollback


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server that has the namespace and nothing else; commands poll it often."""
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(rollback, "RETRY_SECONDS", 0.1)
    with serving() as api:
        (file := tmp_path / "config").write_text(kubeconfig(api.address, NAMESPACE), encoding="utf-8")
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
        monkeypatch.delenv("KUBECONFIG", raising=False)
        api.objects[CORE] = kubernetes_object("v1", "Namespace", NAMESPACE)
        yield api
