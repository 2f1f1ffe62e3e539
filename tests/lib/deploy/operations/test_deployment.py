"""`wattcast deploy` against a small API server: what it applies, and what it waits for."""

from pathlib import Path

import pytest
from tests.lib.deploy.api_server import ApiServer, Object
from tests.lib.deploy.documents import (
    CLAIM,
    CONF,
    CORE,
    INGEST,
    NAMESPACE,
    Operator,
    api_deployment,
    dependencies,
    deploy,
    ingest_application,
    kubernetes_object,
)

from wattcast.cli.cluster_options import DEPLOY_SECONDS
from wattcast.deploy.errors import Refused
from wattcast.deploy.manifests.pod_template import STOP_SECONDS


def test_namespace_of_the_overlay_is_created_once_and_gets_its_secrets(server: ApiServer, tmp_path: Path) -> None:
    del server.objects[CORE]
    Operator(server)
    deploy([kubernetes_object("v1", "Namespace", NAMESPACE), *dependencies(), ingest_application()], tmp_path)
    assert not server.requests_of("DELETE")
    assert f"{CORE}/secrets/kafka-creds" in server.objects


def test_namespace_of_the_overlay_is_deleted_again_when_a_document_is_refused(
    server: ApiServer, tmp_path: Path
) -> None:
    del server.objects[CORE]
    server.answer = lambda method, path: (422, "must match") if (method, path) == ("PATCH", CLAIM) else None
    with pytest.raises(Refused, match="PersistentVolumeClaim wattcast-state is refused: must match"):
        deploy([kubernetes_object("v1", "Namespace", NAMESPACE), *dependencies(), ingest_application()], tmp_path)
    assert server.requests_of("DELETE") == [CORE]


def test_changed_labels_of_an_application_restart_nothing(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    capsys.readouterr()
    deploy([*dependencies(), ingest_application(team="energy")], tmp_path, timeout=1)
    assert capsys.readouterr().out == "SparkApplication ingest changed\ningest RUNNING\n"


def test_application_that_has_just_started_does_not_count_as_running(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="RUNNING", good="wattcast:1")
    deploy([*dependencies(), ingest_application()], tmp_path)
    with pytest.raises(
        Refused, match=r"ingest: ingest-driver Running, ingest-executor Running \(timed out after 1 s\)"
    ):
        deploy([*dependencies(), ingest_application("wattcast:2")], tmp_path, timeout=1)
    deploy([*dependencies(), ingest_application("wattcast:2")], tmp_path, timeout=1, settle=0)
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:2"


def test_deployment_waits_longer_than_the_current_batch_may_take() -> None:
    assert DEPLOY_SECONDS > STOP_SECONDS + 600


def test_changed_setting_restarts_the_pods_that_read_it_and_no_others(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server)
    deploy([*dependencies(), ingest_application(), api_deployment()], tmp_path)
    submission = server.objects[INGEST]["status"]["submissionID"]
    capsys.readouterr()
    deploy([*dependencies(), ingest_application(), api_deployment()], tmp_path)
    assert capsys.readouterr().out == "nothing to change\ningest RUNNING\napi 1 of 1 ready\n"
    deploy([*dependencies(conf="2"), ingest_application(), api_deployment()], tmp_path)
    assert capsys.readouterr().out == (
        "ConfigMap wattcast-conf changed\nSparkApplication ingest changed\ningest RUNNING\napi 1 of 1 ready\n"
    )
    assert server.objects[INGEST]["status"]["submissionID"] != submission


def test_changed_setting_that_stops_an_application_is_rolled_back_with_its_restart(
    server: ApiServer, tmp_path: Path
) -> None:
    operator = Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    before = server.objects[INGEST]["spec"]

    def after_change(path: str, changed: Object) -> None:
        operator.after_change(path, changed)
        if path == INGEST and server.objects[CONF]["data"] == {"a": "wrong"}:
            changed["status"]["applicationState"] = {"state": "FAILED", "errorMessage": "Setting a: wrong"}

    server.after_change = after_change
    with pytest.raises(
        Refused, match="ingest: the application failed: Setting a: wrong; the deployment was rolled back"
    ):
        deploy([*dependencies(conf="wrong"), ingest_application()], tmp_path)
    assert (server.objects[CONF]["data"], server.objects[INGEST]["spec"]) == ({"a": "1"}, before)
