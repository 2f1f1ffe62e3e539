"""`wattcast status --target k8s` shows applications and servers with their faults."""

from pathlib import Path

import pytest
import yaml
from tests.lib.deploy.api_server import ApiServer
from tests.lib.deploy.documents import (
    API,
    CORE,
    NAMESPACE,
    Operator,
    api_deployment,
    dependencies,
    deploy,
    ingest_application,
    running_pod,
)

from wattcast.cli.status import status


def test_status_has_a_row_for_each_server_with_its_fault(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    Operator(server)
    deploy([*dependencies(), ingest_application(), api_deployment()], tmp_path)
    server.objects[API]["status"]["availableReplicas"] = 0
    unready = running_pod("api", "1", seconds=300, labels={"app.kubernetes.io/name": "api"})
    server.objects[f"{CORE}/pods/api-1"] = unready
    capsys.readouterr()
    with pytest.raises(SystemExit, match="1"):
        status(as_json=True, target="k8s", namespace=NAMESPACE)
    (row,) = yaml.safe_load(capsys.readouterr().out)["servers"]
    assert row == {"name": "api", "kind": "Deployment", "state": "0 of 1 ready", "wrong": "api-1 runs but is not ready"}
    with pytest.raises(SystemExit, match="1"):
        status(as_json=False, target="k8s", namespace=NAMESPACE)
    assert "0 of 1 ready" in capsys.readouterr().out


def test_status_without_the_right_to_list_servers_shows_the_applications(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    server.answer = lambda _, path: (403, "no list") if path.endswith("/deployments") else None
    capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        status(as_json=True, target="k8s", namespace=NAMESPACE)
    captured = capsys.readouterr()
    assert yaml.safe_load(captured.out)["servers"] == []
    assert captured.err == "Deployments and StatefulSets are not shown: no list.\n"
