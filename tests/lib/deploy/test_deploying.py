"""`wattcast deploy` and waiting against a small API server: what it takes, what it refuses, and what is put back."""

import os
import signal
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.lib.deploy.api_server import RESET, SPARK, ApiServer, Object, kubeconfig, serving

from wattcast.deploy import commands, lifecycle, undoing, waiting
from wattcast.deploy.applications import application
from wattcast.deploy.cluster import Cluster, Failed, Refused
from wattcast.deploy.manifests import STOP_SECONDS as GRACE_SECONDS
from wattcast.deploy.manifests import Target, manifest

SPACE = "trial"
NAMESPACES = "/api/v1/namespaces"
CORE, RBAC, APPS = f"{NAMESPACES}/{SPACE}", "/apis/rbac.authorization.k8s.io/v1", "/apis/apps/v1"
INGEST = f"{SPARK}/namespaces/{SPACE}/sparkapplications/ingest"
API = f"{APPS}/namespaces/{SPACE}/deployments/api"
CLAIM, CONF = f"{CORE}/persistentvolumeclaims/wattcast-state", f"{CORE}/configmaps/wattcast-conf"
RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """An API server that has the namespace and no more, at which the commands look often."""
    monkeypatch.setattr(waiting, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(undoing, "PATIENCE_SECONDS", 0.1)
    with serving() as found:
        (file := tmp_path / "config").write_text(kubeconfig(found.address, SPACE), encoding="utf-8")
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
        monkeypatch.delenv("KUBECONFIG", raising=False)
        found.objects[CORE] = thing("v1", "Namespace", SPACE)
        yield found


def thing(api_version: str, kind: str, name: str, **fields: Any) -> Object:
    place = {} if kind == "Namespace" else {"namespace": SPACE}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **place}, **fields}


def ingest(image: str = "wattcast:1", **labels: str) -> Object:
    made = manifest(application("ingest"), Target(image=image))
    made["metadata"] |= {"namespace": SPACE}
    made["metadata"]["labels"] |= labels
    return made


def around(storage: str = "10Gi", conf: str = "1") -> list[Object]:
    """What an application needs."""
    return [
        thing("v1", "Secret", "kafka-creds", stringData={"password": "a"}),
        thing("v1", "ConfigMap", "wattcast-env", data={}),
        thing("v1", "ConfigMap", "wattcast-conf", data={"a": conf}),
        thing(
            "v1", "PersistentVolumeClaim", "wattcast-state",
            spec={"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": storage}}},
        ),
    ]  # fmt: skip


def role(*verbs: str) -> Object:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": list(verbs)}]
    return thing("rbac.authorization.k8s.io/v1", "Role", "driver", rules=rules)


def api(image: str = "wattcast:1") -> Object:
    labels = {"app.kubernetes.io/name": "api"}
    container = {"name": "api", "image": image, "securityContext": RESTRICTED}
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    template = {"metadata": {"labels": labels}, "spec": {"securityContext": security, "containers": [container]}}
    return thing("apps/v1", "Deployment", "api", spec={"selector": {"matchLabels": labels}, "template": template})


def pod(app: str, part: str, *, seconds: float, labels: dict[str, str] | None = None) -> Object:
    """A pod whose container has run for so long."""
    since = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
    made = thing("v1", "Pod", f"{app}-{part}", spec={"containers": []})
    made["metadata"] |= {
        "creationTimestamp": since,
        "labels": labels or {"sparkoperator.k8s.io/app-name": app, "spark-role": part},
    }
    state = {"running": {"startedAt": since}}
    return made | {"status": {"phase": "Running", "containerStatuses": [{"name": "one", "state": state}]}}


class Operator:
    """Runs an application anew when its spec has changed; what that comes to is `outcome`, of all but the first `good` images."""

    def __init__(self, server: ApiServer, *, state: str = "RUNNING", error: str = "", good: str = "wattcast:1") -> None:
        self.server, self.state, self.error, self.good = server, state, error, good
        self.ran: dict[str, Object] = {}
        server.act = self.act

    def act(self, path: str, made: Object) -> None:
        if path == API:
            made["status"] = self._of_server(made)
        if not path.startswith(SPARK) or self.ran.get(path) == made["spec"]:
            return
        self.ran[path] = deepcopy(made["spec"])
        submission = str(len(self.server.asked))
        is_good = made["spec"]["image"] == self.good
        state = {"state": "RUNNING" if is_good else self.state, "errorMessage": "" if is_good else self.error}
        made["status"] = {"submissionID": submission, "applicationState": state, "executionAttempts": 1}
        for part in ("driver", "executor"):
            made_pod = pod(made["metadata"]["name"], part, seconds=60 if is_good else 0)
            self.server.objects[f"{CORE}/pods/{made_pod['metadata']['name']}"] = made_pod

    def _of_server(self, made: Object) -> Object:
        is_good = made["spec"]["template"]["spec"]["containers"][0]["image"] == self.good
        counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": int(is_good)}
        return {"observedGeneration": made["metadata"]["generation"], **counts}


def deploy(documents: list[Object], tmp_path: Path, **options: Any) -> None:
    (file := tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")
    commands.deploy(manifests=str(file), **options)


def failed_first(times: int, answer: tuple[int, str], path: str) -> Any:
    """Requests for a path that come to this so often, and then to what they ask for."""
    left = [answer] * times
    return lambda _, asked: left.pop() if asked == path and left else None


UNANSWERED = {"reset": (RESET, ""), "too many requests": (429, "slow down"), "unavailable": (503, "leader changed")}


@pytest.mark.parametrize("answer", UNANSWERED.values(), ids=UNANSWERED)
def test_api_server_that_does_not_answer_for_a_while_ends_no_waiting(
    server: ApiServer, answer: tuple[int, str]
) -> None:
    server.put(INGEST, ingest())["status"] = {"applicationState": {"state": "COMPLETED"}}
    server.answer = failed_first(3, answer, INGEST)
    ended = lifecycle.run_once(Cluster(), ingest(), seconds=60)
    assert ended.state == "COMPLETED"
    assert server.asked_of("GET").count(INGEST) == 4


def test_api_server_that_does_not_answer_any_more_is_said_when_the_time_is_over(server: ApiServer) -> None:
    server.put(INGEST, ingest())
    server.answer = lambda _, path: (503, "no leader") if path == INGEST else None
    with pytest.raises(Failed, match=r"^no leader \(given up after 0 s\)$"):
        lifecycle.run_once(Cluster(), ingest(), seconds=0)


def test_deployment_is_put_back_where_one_may_not_look_any_more(server: ApiServer, tmp_path: Path) -> None:
    def answer(method: str, path: str) -> tuple[int, str] | None:
        return (401, "Unauthorized") if path.endswith("/pods") else None

    Operator(server)
    deploy([*around(), ingest()], tmp_path)
    server.answer = answer
    with pytest.raises(Refused, match=r"^Unauthorized; all but what may hold data is as it was before"):
        deploy([*around(), ingest("wattcast:2")], tmp_path)
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"


def test_deployment_without_an_answer_is_put_back_when_there_is_one_again(server: ApiServer, tmp_path: Path) -> None:
    Operator(server)
    deploy([*around(), ingest()], tmp_path)
    lost = [True, False, False]

    def answer(method: str, path: str) -> tuple[int, str] | None:
        """The server does what it is asked to, but the answer is lost; to the next two requests there is none either."""
        if (method, path) != ("PATCH", CONF) or "dry" in server.asked[-1] or not lost:
            return None
        if lost.pop(0):
            server.put(CONF, thing("v1", "ConfigMap", "wattcast-conf", data={"a": "2"}))
        return RESET, ""

    server.answer = answer
    with pytest.raises(Refused, match=r"cannot be reached: .*; all but what may hold data is as it was before"):
        deploy([*around(conf="2"), ingest()], tmp_path)
    assert server.objects[CONF]["data"] == {"a": "1"}


def test_namespace_that_the_overlay_brings_is_made_once_and_has_its_secrets(server: ApiServer, tmp_path: Path) -> None:
    del server.objects[CORE]
    Operator(server)
    deploy([thing("v1", "Namespace", SPACE), *around(), ingest()], tmp_path)
    assert not server.asked_of("DELETE")
    assert f"{CORE}/secrets/kafka-creds" in server.objects


def test_namespace_that_the_overlay_brings_goes_again_where_a_document_is_refused(
    server: ApiServer, tmp_path: Path
) -> None:
    del server.objects[CORE]
    server.answer = lambda method, path: (422, "must match") if (method, path) == ("PATCH", CLAIM) else None
    with pytest.raises(Refused, match="PersistentVolumeClaim wattcast-state is refused: must match"):
        deploy([thing("v1", "Namespace", SPACE), *around(), ingest()], tmp_path)
    assert server.asked_of("DELETE") == [CORE]


def test_changed_labels_of_an_application_start_nothing_and_are_not_waited_for(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server)
    deploy([*around(), ingest()], tmp_path)
    capsys.readouterr()
    deploy([*around(), ingest(team="energy")], tmp_path, timeout=1)
    assert capsys.readouterr().out == "SparkApplication ingest changed\ningest RUNNING\n"


def test_claim_stays_larger_and_all_else_is_put_back(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="FAILED", error="no such meter")
    deploy([role("get"), *around(), ingest()], tmp_path)
    with pytest.raises(Refused, match=r"^ingest: it failed: no such meter; all but what may hold data is as it was"):
        deploy([role("list"), *around("20Gi", conf="2"), ingest("wattcast:2"), api()], tmp_path)
    assert server.objects[CLAIM]["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert server.objects[CONF]["data"] == {"a": "1"}
    assert server.objects[f"{RBAC}/namespaces/{SPACE}/roles/driver"]["rules"][0]["verbs"] == ["get"]
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"
    assert API not in server.objects


def test_what_cannot_be_put_back_is_said_with_the_reason_and_the_rest_is_put_back(
    server: ApiServer, tmp_path: Path
) -> None:
    def answer(method: str, path: str) -> tuple[int, str] | None:
        is_put_back = server.objects.get(INGEST, {}).get("spec", {}).get("image") == "wattcast:2"
        return (403, "not yours") if (method, path) == ("PATCH", CONF) and is_put_back else None

    Operator(server, state="FAILED", error="no such meter")
    deploy([*around(), ingest()], tmp_path)
    server.answer = answer
    with pytest.raises(Failed) as failed:
        deploy([*around(conf="2"), ingest("wattcast:2")], tmp_path)
    assert str(failed.value) == (
        "ingest: it failed: no such meter; not all is as it was before: "
        "ConfigMap wattcast-conf is not put back: ConfigMap wattcast-conf is refused: not yours."
    )
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"


def test_what_another_deployment_has_changed_meanwhile_is_not_put_back(server: ApiServer, tmp_path: Path) -> None:
    Operator(server)
    deploy([*around(), ingest()], tmp_path)

    def act(path: str, made: Object) -> None:
        if path == INGEST and made["spec"]["image"] == "wattcast:2":
            made["status"] |= {"submissionID": "new", "applicationState": {"state": "FAILED", "errorMessage": "bad"}}
            server.objects[CONF]["data"] = {"a": "3"}

    server.act = act
    with pytest.raises(Failed, match="ConfigMap wattcast-conf is not put back: another deployment has changed it"):
        deploy([*around(conf="2"), ingest("wattcast:2")], tmp_path)
    assert server.objects[CONF]["data"] == {"a": "3"}


def test_new_application_has_its_rights_until_its_pods_are_gone(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="FAILED", error="no such meter", good="none")
    pods = f"{CORE}/pods"
    looked: list[str] = []

    def answer(method: str, path: str) -> tuple[int, str] | None:
        """The pods end while they are looked at."""
        if method == "GET" and path == pods and INGEST not in server.objects:
            looked.append(path)
            if len(looked) == 3:
                server.objects = {key: each for key, each in server.objects.items() if not key.startswith(pods)}
        return None

    server.answer = answer
    with pytest.raises(Refused, match="no such meter"):
        deploy([role("get"), *around(), ingest()], tmp_path)
    deleted = [each for each in server.asked if each.startswith("DELETE") or each == f"GET {pods}"]
    begun = deleted.index(f"DELETE {INGEST}")
    assert deleted[begun : begun + 5] == [f"DELETE {INGEST}", *[f"GET {pods}"] * 3, f"DELETE {CONF}"]
    assert f"DELETE {RBAC}/namespaces/{SPACE}/roles/driver" in deleted[begun + 5 :]


@pytest.mark.parametrize("when", ["while documents are applied", "while it is waited"])
def test_interrupted_deployment_is_put_back(
    server: ApiServer, tmp_path: Path, when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server, state="SUBMITTED")
    deploy([*around(), ingest()], tmp_path)
    trigger = ("PATCH", INGEST) if when == "while documents are applied" else ("GET", f"{CORE}/pods")
    interrupted: list[str] = []

    def answer(method: str, path: str) -> tuple[int, str] | None:
        if not interrupted and (method, path) == trigger and not server.asked[-1].endswith("dry"):
            interrupted.append(path)
            os.kill(os.getpid(), signal.SIGINT)
        return None

    server.answer = answer
    with pytest.raises(Refused, match=r"^Interrupted; all but what may hold data is as it was before\.$"):
        deploy([*around(conf="2"), ingest("wattcast:2")], tmp_path)
    assert "Interrupted: all is put back; interrupt again" in capsys.readouterr().err
    assert server.objects[CONF]["data"] == {"a": "1"}
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:1"


def test_application_that_has_just_begun_is_not_at_work_yet(server: ApiServer, tmp_path: Path) -> None:
    Operator(server, state="RUNNING", good="wattcast:1")
    deploy([*around(), ingest()], tmp_path)
    with pytest.raises(Refused, match=r"ingest: ingest-driver Running, ingest-executor Running \(given up after 1 s\)"):
        deploy([*around(), ingest("wattcast:2")], tmp_path, timeout=1)
    deploy([*around(), ingest("wattcast:2")], tmp_path, timeout=1, settle=0)
    assert server.objects[INGEST]["spec"]["image"] == "wattcast:2"


def test_server_that_does_not_become_ready_fails_the_deployment_and_is_put_back(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server)
    deploy([*around(), ingest(), api()], tmp_path)
    assert capsys.readouterr().out.splitlines()[-2:] == ["ingest RUNNING", "api 1 of 1 ready"]
    with pytest.raises(Refused, match=r"^api: 0 of 1 ready \(given up after 1 s\); all but"):
        deploy([*around(), ingest(), api("wattcast:2")], tmp_path, timeout=1)
    assert server.objects[API]["spec"]["template"]["spec"]["containers"][0]["image"] == "wattcast:1"


def test_status_has_a_row_for_each_server_and_says_what_is_wrong(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    Operator(server)
    deploy([*around(), ingest(), api()], tmp_path)
    server.objects[API]["status"]["availableReplicas"] = 0
    unready = pod("api", "1", seconds=300, labels={"app.kubernetes.io/name": "api"})
    server.objects[f"{CORE}/pods/api-1"] = unready
    capsys.readouterr()
    with pytest.raises(SystemExit, match="1"):
        commands.status(SPACE, "", as_json=True)
    (row,) = yaml.safe_load(capsys.readouterr().out)["servers"]
    assert row == {"name": "api", "kind": "Deployment", "state": "0 of 1 ready", "wrong": "api-1 runs but is not ready"}
    with pytest.raises(SystemExit, match="1"):
        commands.status(SPACE, "", as_json=False)
    assert "0 of 1 ready" in capsys.readouterr().out


def test_status_without_the_right_to_list_servers_shows_the_applications(
    server: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Operator(server)
    deploy([*around(), ingest()], tmp_path)
    server.answer = lambda _, path: (403, "no list") if path.endswith("/deployments") else None
    capsys.readouterr()
    with pytest.raises(SystemExit, match="0"):
        commands.status(SPACE, "", as_json=True)
    said = capsys.readouterr()
    assert yaml.safe_load(said.out)["servers"] == []
    assert said.err == "Deployments and StatefulSets are not shown: no list.\n"


def test_deployment_waits_longer_than_a_batch_in_hand_may_take() -> None:
    assert commands.DEPLOY_SECONDS > GRACE_SECONDS + 600
