"""A deployment that fails, is refused or is interrupted is rolled back."""

import os
import signal
from pathlib import Path

import pytest
from tests.lib.deploy.api_server import RESET, ApiServer, Object
from tests.lib.deploy.documents import (
    API,
    CLAIM,
    CONF,
    CORE,
    INGEST,
    NAMESPACE,
    RBAC,
    Operator,
    api_deployment,
    dependencies,
    deploy,
    driver_role,
    ingest_application,
    kubernetes_object,
)

from wattcast.deploy.errors import Failed, Refused
from wattcast.deploy.rollout import rollback

ROLLED_BACK = "; the deployment was rolled back, except for resources that may contain data"


def test_deployment_is_rolled_back_when_the_account_may_no_longer_read_pods(server: ApiServer, tmp_path: Path) -> None:
    def answer(method: str, path: str) -> tuple[int, str] | None:
        return (401, "Unauthorized") if path.endswith("/pods") else None

    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    server.answer = answer
    with pytest.raises(Refused, match=rf"^Unauthorized{ROLLED_BACK}"):
        deploy([*dependencies(), ingest_application("wattcast:2")], tmp_path)
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"


def test_deployment_without_an_answer_is_rolled_back_once_the_api_server_answers_again(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "RETRY_SECONDS", 60)  # it answers at the third request, however long those take
    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)
    lost = [True, False, False]

    def answer(method: str, path: str) -> tuple[int, str] | None:
        """The server processes the request but its answer is lost, and it does not answer the next two requests."""
        if (method, path) != ("PATCH", CONF) or "dry" in server.requests[-1] or not lost:
            return None
        if lost.pop(0):
            server.put(CONF, kubernetes_object("v1", "ConfigMap", "wattcast-conf", data={"a": "2"}))
        return RESET, ""

    server.answer = answer
    with pytest.raises(
        Refused,
        match=rf"cannot be reached: .*{ROLLED_BACK}",
    ):
        deploy([*dependencies(conf="2"), ingest_application()], tmp_path)
    assert server.objects[CONF]["data"] == {"a": "1"}


def test_claim_stays_larger_and_everything_else_is_rolled_back(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="FAILED", error="no such meter")
    deploy([driver_role("get"), *dependencies(), ingest_application()], tmp_path)
    with pytest.raises(
        Refused,
        match=rf"^ingest: the application failed: no such meter{ROLLED_BACK}",
    ):
        deploy(
            [driver_role("list"), *dependencies("20Gi", conf="2"), ingest_application("wattcast:2"), api_deployment()],
            tmp_path,
        )
    assert server.objects[CLAIM]["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert server.objects[CONF]["data"] == {"a": "1"}
    assert server.objects[f"{RBAC}/namespaces/{NAMESPACE}/roles/driver"]["rules"][0]["verbs"] == ["get"]
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"
    assert API not in server.objects


def test_incomplete_rollback_names_what_failed_and_restores_the_rest(server: ApiServer, tmp_path: Path) -> None:
    def answer(method: str, path: str) -> tuple[int, str] | None:
        is_rolling_back = server.objects.get(INGEST, {}).get("spec", {}).get("image") == "wattcast:2"
        return (403, "not yours") if (method, path) == ("PATCH", CONF) and is_rolling_back else None

    Operator(server, state="FAILED", error="no such meter")
    deploy([*dependencies(), ingest_application()], tmp_path)
    server.answer = answer
    with pytest.raises(Failed) as failed:
        deploy([*dependencies(conf="2"), ingest_application("wattcast:2")], tmp_path)
    assert str(failed.value) == (
        "ingest: the application failed: no such meter; the rollback is incomplete: "
        "ConfigMap wattcast-conf was not rolled back: ConfigMap wattcast-conf is refused: not yours."
    )
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"


def test_rollback_leaves_what_another_deployment_has_changed_since(server: ApiServer, tmp_path: Path) -> None:
    Operator(server)
    deploy([*dependencies(), ingest_application()], tmp_path)

    def after_change(path: str, changed: Object) -> None:
        if path == INGEST and changed["spec"]["image"] == "wattcast:2":
            changed["status"] |= {"submissionID": "new", "applicationState": {"state": "FAILED", "errorMessage": "bad"}}
            server.objects[CONF]["data"] = {"a": "3"}

    server.after_change = after_change
    with pytest.raises(
        Failed, match="ConfigMap wattcast-conf was not rolled back: another deployment has changed it since"
    ):
        deploy([*dependencies(conf="2"), ingest_application("wattcast:2")], tmp_path)
    assert server.objects[CONF]["data"] == {"a": "3"}


def test_new_application_keeps_its_role_until_its_pods_are_gone(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="FAILED", error="no such meter", good="none")
    pods = f"{CORE}/pods"
    observed: list[str] = []

    def answer(method: str, path: str) -> tuple[int, str] | None:
        """The pods end while they are observed."""
        if method == "GET" and path == pods and INGEST not in server.objects:
            observed.append(path)
            if len(observed) == 3:
                server.objects = {key: value for key, value in server.objects.items() if not key.startswith(pods)}
        return None

    server.answer = answer
    with pytest.raises(Refused, match="no such meter"):
        deploy([driver_role("get"), *dependencies(), ingest_application()], tmp_path)
    deleted = [line for line in server.requests if line.startswith("DELETE") or line == f"GET {pods}"]
    begun = deleted.index(f"DELETE {INGEST}")
    assert deleted[begun : begun + 5] == [f"DELETE {INGEST}", *[f"GET {pods}"] * 3, f"DELETE {CONF}"]
    assert f"DELETE {RBAC}/namespaces/{NAMESPACE}/roles/driver" in deleted[begun + 5 :]


@pytest.mark.parametrize("when", ["while documents are applied", "while it waits"])
def test_interrupted_deployment_is_rolled_back(
    server: ApiServer, tmp_path: Path, when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server, state="SUBMITTED")
    deploy([*dependencies(), ingest_application()], tmp_path)
    trigger = ("PATCH", INGEST) if when == "while documents are applied" else ("GET", f"{CORE}/pods")
    interrupted: list[str] = []

    def answer(method: str, path: str) -> tuple[int, str] | None:
        if not interrupted and (method, path) == trigger and not server.requests[-1].endswith("dry"):
            interrupted.append(path)
            os.kill(os.getpid(), signal.SIGINT)
        return None

    server.answer = answer
    with pytest.raises(Refused, match=rf"^Interrupted{ROLLED_BACK}\.$"):
        deploy([*dependencies(conf="2"), ingest_application("wattcast:2")], tmp_path)
    assert "Interrupted: rolling back. Press Ctrl-C again" in capsys.readouterr().err
    assert server.objects[CONF]["data"] == {"a": "1"}
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"


def test_server_that_does_not_become_ready_fails_the_deployment_and_is_rolled_back(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server)
    deploy([*dependencies(), ingest_application(), api_deployment()], tmp_path)
    assert capsys.readouterr().out.splitlines()[-2:] == ["ingest RUNNING", "api 1 of 1 ready"]
    with pytest.raises(
        Refused, match=r"^api: 0 of 1 ready \(timed out after 1 s\); the deployment was rolled back, except"
    ):
        deploy([*dependencies(), ingest_application(), api_deployment("wattcast:2")], tmp_path, timeout=1)
    assert server.objects[API]["spec"]["template"]["spec"]["containers"][0]["image"] == "wattcast:1"
