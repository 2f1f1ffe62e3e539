"""The cluster commands against a real API server and operator.

No container runs: the drivers ask for a scheduler that does not exist, and the tests set the status of their pods.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.k8s.live import TRIAL as NAMESPACE

if TYPE_CHECKING:
    from tests.k8s.cluster.node import Cluster

OVERLAYS = Path(__file__).parents[2] / "k8s/overlays"
SECRETS = OVERLAYS.parent / "base/secrets.example.yaml"
IMAGE = "wattcast:0.1.0"
SECONDS = 120
AT_ONCE = ("--settle", "0")  # no executor ever comes

Done = subprocess.CompletedProcess[str]
Change = Callable[[str], str]

KUSTOMIZATION = """
namespace: {namespace}
resources: [{dev}]
patches:
- target: {{kind: SparkApplication}}
  patch: |-
    - {{op: add, path: /spec/driver/template/spec/schedulerName, value: nobody}}
- target: {{kind: StatefulSet}}
  patch: |-
    - {{op: replace, path: /spec/replicas, value: 0}}
"""


class Deployment:
    """Runs commands against the cluster with its own overlay, and sets the status of the drivers' pods."""

    def __init__(self, cluster: "Cluster", overlay: Path) -> None:
        self.cluster, self.overlay = cluster, overlay

    def wattcast(self, *arguments: str, **options: Any) -> Done:
        return self.cluster.run("wattcast", *arguments, **options)

    def deploy(self, *arguments: str) -> Done:
        return self.wattcast("deploy", str(self.overlay), *AT_ONCE, *arguments)

    def rendered(self) -> str:
        return self.cluster.kubectl("kustomize", str(self.overlay)).stdout

    def applied(self, text: str, *arguments: str) -> Done:
        return self.wattcast("deploy", "--manifests", "-", *AT_ONCE, *arguments, stdin=text)

    def asked(self, *arguments: str) -> str:
        return self.cluster.kubectl("-n", NAMESPACE, *arguments, check=False).stdout.strip()

    def pod(self, app: str) -> str:
        """The uid of the driver's pod."""
        return self.asked("get", "pod", f"{app}-driver", "-o", "jsonpath={.metadata.uid}")

    def while_driver(self, app: str, status: dict[str, Any], action: Callable[[], Done]) -> Done:
        """The result of an action during which the next pod of the driver gets this status."""
        before = self.pod(app)
        with ThreadPoolExecutor() as pool:
            doing = pool.submit(action)
            self.until(lambda: doing.done() or self.pod(app) not in ("", before))
            assert not doing.done(), doing.result().stderr
            self.say(app, status)
            return doing.result()

    def say(self, app: str, status: dict[str, Any]) -> None:
        change = json.dumps({"status": status})
        self.cluster.kubectl(
            "-n", NAMESPACE, "patch", "pod", f"{app}-driver", "--subresource=status", "--type=merge", "-p", change
        )

    def end(self, app: str, state: str) -> None:
        """Set the final state of an application, as the operator does after its last attempt."""
        ended = json.dumps({"status": {"applicationState": {"state": state}}})
        self.cluster.kubectl(
            "-n", NAMESPACE, "patch", "sparkapplication", app, "--subresource=status", "--type=merge", "-p", ended
        )

    def until(self, found: Callable[[], object]) -> None:
        self.cluster.until("the cluster comes to it", found, SECONDS)

    def things(self) -> list[str]:
        """Every object of the namespace that a deployment could change, with its version."""
        kinds = (
            "serviceaccounts,roles,rolebindings,configmaps,secrets,persistentvolumeclaims,services,statefulsets,"
            "networkpolicies,sparkapplications,scheduledsparkapplications"
        )
        line = 'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation}{.data}{.spec}{"\\n"}{end}'
        return sorted(self.asked("get", kinds, "-o", line).splitlines())

    def state(self, app: str) -> str:
        return self.asked("get", "sparkapplication", app, "-o", "jsonpath={.status.applicationState.state}")

    def image(self) -> str:
        return self.asked("get", "sparkapplication", "pipeline", "-o", "jsonpath={.spec.image}")


RUNNING = {"phase": "Running"}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """A pod whose container does not start."""
    container = {
        "name": "spark-kubernetes-driver", "image": "wattcast:none", "imageID": "", "ready": False, "restartCount": 0,
        "state": {"waiting": {"reason": reason, "message": message}},
    }  # fmt: skip
    return {"phase": "Pending", "containerStatuses": [container]}


@pytest.fixture(scope="module")
def deployment(operator: "Cluster", tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A namespace with its Secrets, and an overlay for it. The first tests leave nothing deployed."""
    overlay = tmp_path_factory.mktemp("overlay").resolve()
    dev = os.path.relpath(OVERLAYS / "dev", overlay)
    (overlay / "kustomization.yaml").write_text(KUSTOMIZATION.format(dev=dev, namespace=NAMESPACE), encoding="utf-8")
    operator.kubectl("apply", "-n", NAMESPACE, "-f", str(SECRETS))
    yield Deployment(operator, overlay)
    operator.kubectl("delete", "sparkapplications,scheduledsparkapplications", "--all", "-n", NAMESPACE, "--wait=true")
    operator.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def running(deployment: Deployment) -> Deployment:
    """The pipeline of the overlay, running."""
    if deployment.image() != IMAGE:
        done = deployment.while_driver("pipeline", RUNNING, deployment.deploy)
        assert done.returncode == 0, done.stderr
    deployment.until(lambda: deployment.pod("pipeline"))
    deployment.say("pipeline", RUNNING)
    deployment.until(lambda: deployment.state("pipeline") == "RUNNING")
    return deployment


def sentence(done: Done, status: int = 2) -> str:
    """The last line on stderr of a command that ends with this status and no traceback."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def changed(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def without_namespace(text: str) -> str:
    documents = [each for each in yaml.safe_load_all(text) if each["kind"] != "Namespace"]
    return yaml.safe_dump_all(documents).replace(NAMESPACE, "nowhere")


def placeless(text: str) -> str:
    documents = list(yaml.safe_load_all(text))
    for each in documents:
        each["metadata"].pop("namespace", None)
    return yaml.safe_dump_all(documents)


REFUSED: dict[str, tuple[Change, str]] = {
    "unknown field": (
        changed("coreLimit:", "coreLimits:"), "SparkApplication pipeline: spec.executor has no field coreLimits."
    ),
    "unknown field of a pod": (
        changed("automountServiceAccountToken: true", "automountToken: true"),
        "SparkApplication pipeline: driver: template.spec has no field automountToken.",
    ),
    "unknown kind": (
        changed("kind: StatefulSet", "kind: StatefulSets"), "the API apps/v1 has no kind StatefulSets."
    ),
    "a value that the API server refuses": (
        changed("storage: 10Gi", "storage: ten"), "PersistentVolumeClaim wattcast-state is refused: .*quantities must match"
    ),
    "a secret that is missing": (
        changed("name: kafka-creds", "name: other-creds"),
        f"The namespace {NAMESPACE} has no Secret other-creds, which the manifests refer to: "
        f"`kubectl apply -n {NAMESPACE} -f` a copy of k8s/base/secrets.example.yaml with your values.",
    ),
    "unknown namespace": (
        without_namespace, "The namespace nowhere does not exist: create it with `kubectl create namespace nowhere`."
    ),
    "no namespace": (placeless, "SparkApplication pipeline has no namespace: the overlay must set one."),
    "no YAML": (lambda text: f"{text}\n]", "- is not YAML: "),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_deployment_leaves_the_cluster_unchanged(deployment: Deployment, change: Change, words: str) -> None:
    before = deployment.things()
    said = sentence(deployment.applied(change(deployment.rendered())))
    assert words in said or re.search(words, said)
    assert deployment.things() == before


def test_namespace_created_for_the_dry_run_is_deleted_when_a_document_is_refused(deployment: Deployment) -> None:
    text = deployment.rendered().replace(NAMESPACE, "wattcast-new").replace("storage: 10Gi", "storage: ten")
    secretless = "\n---\n".join(each for each in text.split("\n---\n") if "kind: SparkApplication" not in each)
    assert "PersistentVolumeClaim wattcast-state is refused" in sentence(deployment.applied(secretless))
    deployment.until(lambda: not deployment.asked("get", "namespace", "wattcast-new", "-o", "name"))


def test_missing_namespace_and_secrets_are_refused_with_the_commands_to_create_them(deployment: Deployment) -> None:
    done = deployment.applied(deployment.rendered().replace(NAMESPACE, "wattcast-new"))
    assert "`kubectl create namespace wattcast-new`, then `kubectl apply" in sentence(done)
    assert not deployment.asked("get", "namespace", "wattcast-new", "-o", "name")


def test_cluster_that_does_not_answer_is_named(deployment: Deployment, tmp_path: Path) -> None:
    config = yaml.safe_load(Path(deployment.cluster.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (elsewhere := tmp_path / "config").write_text(yaml.safe_dump(config))
    for command in (["deploy"], ["status", "--target", "k8s"], ["stop", "--all"], ["logs", "pipeline"]):
        said = sentence(deployment.wattcast(*command, env={"KUBECONFIG": str(elsewhere)}))
        assert said.startswith("The cluster at https://127.0.0.1:1 cannot be reached: ")


def test_unknown_context_is_refused(deployment: Deployment) -> None:
    assert "No cluster is configured: " in sentence(deployment.deploy("--context", "nowhere"))


def test_first_deployment_that_does_not_run_is_deleted_except_for_its_claim(deployment: Deployment) -> None:
    before = deployment.things()
    failing = waiting("CreateContainerConfigError", 'secret "kafka-creds" not found')
    said = sentence(deployment.while_driver("pipeline", failing, deployment.deploy))
    assert "the Secret kafka-creds that pipeline-driver refers to is missing" in said
    left = [each for each in deployment.things() if each not in before]
    assert [each.split()[0] for each in left] == ["PersistentVolumeClaim/wattcast-state"]


def test_deployed_pipeline_runs_and_is_deployed_again_without_a_change(running: Deployment) -> None:
    pod, before = running.pod("pipeline"), running.things()
    again = running.deploy()
    assert again.returncode == 0
    assert again.stdout == "nothing to change\npipeline RUNNING\n"
    assert running.pod("pipeline") == pod
    assert running.things() == before
    difference = running.deploy("--diff")
    assert (difference.returncode, difference.stdout) == (0, "")


def test_diff_shows_what_would_change_and_changes_nothing(running: Deployment) -> None:
    before = running.things()
    found = running.deploy("--diff", "--image", "wattcast:next")
    assert found.returncode == 1
    lines = [line for line in found.stdout.splitlines() if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    assert lines == [f"-  image: {IMAGE}", "+  image: wattcast:next"]
    assert running.things() == before


def test_second_application_of_one_job_is_refused(running: Deployment) -> None:
    before = running.things()
    again = sentence(running.applied(changed("name: pipeline\n", "name: pipeline-2\n")(running.rendered())))
    assert again == "pipeline and pipeline-2 run the same job, pipeline: deploy only one of them."
    ingest = yaml.safe_load((OVERLAYS.parent / "spark-apps/ingest.yaml").read_text())
    ingest["metadata"]["namespace"] = NAMESPACE
    documents = [each for each in yaml.safe_load_all(running.rendered()) if each["kind"] != "SparkApplication"]
    beside = sentence(running.applied(yaml.safe_dump_all([*documents, ingest])))
    assert beside == "pipeline already includes ingest: deploy either pipeline or ingest."
    assert running.things() == before


def test_deploy_of_a_changed_spec_waits_for_the_new_one(running: Deployment) -> None:
    done = running.while_driver("pipeline", RUNNING, lambda: running.deploy("--image", "wattcast:next"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "SparkApplication pipeline changed\npipeline RUNNING\n"
    image = running.asked("get", "pod", "pipeline-driver", "-o", "jsonpath={.spec.containers[0].image}")
    assert image == running.image() == "wattcast:next"


def test_image_that_cannot_be_pulled_is_named_and_the_previous_one_restored(running: Deployment) -> None:
    before = running.image()
    failing = waiting("ImagePullBackOff", "no such manifest")
    done = running.while_driver("pipeline", failing, lambda: running.deploy("--image", "wattcast:none"))
    assert sentence(done) == (
        "pipeline: the image wattcast:none of pipeline-driver cannot be pulled: no such manifest; "
        "the deployment was rolled back, except for resources that may contain data."
    )
    assert running.image() == before


def test_second_deployment_is_refused_while_the_first_waits(running: Deployment) -> None:
    holders = ("get", "leases", "-o", "jsonpath={.items[*].spec.holderIdentity}")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(running.deploy, "--image", "wattcast:none", "--timeout", "60")
        running.until(lambda: running.asked(*holders))
        refused = sentence(running.deploy())
        assert re.search(rf"@.+ has been deploying to the namespace {NAMESPACE} since 2.+ UTC: wait until", refused)
        assert "the deployment was rolled back" in sentence(first.result())
    assert not running.asked(*holders)


def test_changed_setting_starts_the_application_again(running: Deployment) -> None:
    pod = running.pod("pipeline")
    text = changed("WATTCAST_PROFILE: local", "WATTCAST_PROFILE: local\n  WATTCAST_LOG_LEVEL: INFO")(running.rendered())
    done = running.while_driver("pipeline", RUNNING, lambda: running.applied(text))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ConfigMap wattcast-env changed\nSparkApplication pipeline changed\npipeline RUNNING\n"
    assert running.pod("pipeline") != pod
    again = running.while_driver("pipeline", RUNNING, running.deploy)
    assert again.returncode == 0, again.stderr


def test_status_shows_what_is_wrong_and_fails(running: Deployment) -> None:
    fine = running.wattcast("status", "--target", "k8s")
    assert fine.returncode == 0, fine.stderr
    assert all(word in fine.stdout for word in ("pipeline", "streaming", "RUNNING"))
    running.say("pipeline", waiting("ErrImageNeverPull"))
    wrong = running.wattcast("status", "--target", "k8s", "--namespace", NAMESPACE, "--json")
    assert wrong.returncode == 1
    (pipeline,) = json.loads(wrong.stdout)["applications"]
    assert pipeline["driver"] == "pipeline-driver"
    assert pipeline["wrong"].startswith("the image wattcast:none of pipeline-driver cannot be pulled")


def test_stopped_application_stays_stopped_through_a_deployment_until_it_is_started(running: Deployment) -> None:
    stopped = running.wattcast("stop", "pipeline")
    assert (stopped.returncode, stopped.stdout) == (0, "pipeline is stopped\n"), stopped.stderr
    assert not running.pod("pipeline")
    again = running.deploy()
    assert again.stdout == "nothing to change\npipeline is stopped: start it with `wattcast start pipeline`\n"
    started = running.while_driver("pipeline", RUNNING, lambda: running.wattcast("start", "pipeline", *AT_ONCE))
    assert (started.returncode, started.stdout) == (0, "pipeline RUNNING\n"), started.stderr


def test_unknown_application_is_refused(running: Deployment) -> None:
    for command in ("stop", "start", "logs"):
        assert sentence(running.wattcast(command, "ingest")) == (
            f"The namespace {NAMESPACE} has no application ingest: it has pipeline."
        )
    assert sentence(running.wattcast("submit", "train")).endswith("has no application train: it has pipeline.")
    assert sentence(running.wattcast("stop")) == "Name the applications to stop, or use --all."


@pytest.mark.parametrize(("state", "status"), [("COMPLETED", 0), ("FAILED", 1)])
def test_backfill_is_followed_to_its_end(running: Deployment, state: str, status: int) -> None:
    def backfills() -> list[str]:
        name = "jsonpath={.items[*].metadata.name}"
        return running.asked("get", "sparkapplications", "-l", "app.kubernetes.io/name=backfill", "-o", name).split()

    before = set(backfills())
    with ThreadPoolExecutor() as pool:
        command = ("backfill", "submit", "--from", "2026-01-01", "--to", "2026-01-03T06:00", "--buildings", "a,b")
        doing = pool.submit(running.wattcast, *command)
        running.until(lambda: doing.done() or set(backfills()) - before)
        assert not doing.done(), doing.result().stderr
        (name,) = set(backfills()) - before
        running.asked(
            "patch", "sparkapplication", name, "--type=merge", "-p", '{"spec":{"restartPolicy":{"type":"Never"}}}'
        )
        running.until(lambda: running.pod(name) and running.state(name) == "SUBMITTED")
        pod = yaml.safe_load(running.asked("get", "pod", f"{name}-driver", "-o", "yaml"))
        running.end(name, state)
        done = doing.result()
    assert re.fullmatch(r"backfill-20260101-20260103t06-\w{4}", name)
    assert f"{name} {state}" in done.stdout
    assert done.returncode == status, done.stderr
    (container,) = [each for each in pod["spec"]["containers"] if each["name"] == "spark-kubernetes-driver"]
    assert container["image"] == running.image()
    assert container["args"][-6:] == [
        "--from", "2026-01-01T00:00:00+00:00", "--to", "2026-01-03T06:00:00+00:00", "--buildings", "a,b"
    ]  # fmt: skip


def test_undeploy_asks_for_confirmation_and_keeps_data(running: Deployment) -> None:
    before = running.things()
    refused = running.wattcast("undeploy", str(running.overlay), stdin="n\n")
    assert refused.returncode == 1
    assert running.things() == before
    done = running.wattcast("undeploy", str(running.overlay), "--yes")
    assert done.returncode == 0, done.stderr
    left = {each.split()[0] for each in running.things() if "/spark-operator-" not in each}  # its chart's own Roles
    assert left - {"ServiceAccount/default", "ConfigMap/kube-root-ca.crt"} == {
        "PersistentVolumeClaim/wattcast-state",
        *(f"Secret/{each['metadata']['name']}" for each in yaml.safe_load_all(SECRETS.read_text(encoding="utf-8"))),
    }  # fmt: skip
    assert f"Namespace {NAMESPACE}" in done.stdout.splitlines()[-1]


def test_fields_applied_by_kubectl_are_taken_over_only_with_force(deployment: Deployment) -> None:
    deployment.cluster.kubectl("apply", "-k", str(deployment.overlay))
    before = deployment.things()
    said = sentence(deployment.deploy("--no-wait", "--image", "wattcast:next"))
    assert "is refused: Apply failed with" in said
    assert said.endswith("Use --force to take these fields over.")
    assert deployment.things() == before
    assert deployment.deploy("--no-wait", "--force", "--image", "wattcast:next").returncode == 0
    assert deployment.image() == "wattcast:next"
