"""One cluster for all tests that need one; `make test-k8s` builds its parts first."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.k8s.cluster.build import NEXT, WATTCAST, Images, build_programs, cluster_folder, missing, operator_chart
from tests.k8s.cluster.node import Cluster
from tests.k8s.cluster.usage import Usage
from tests.k8s.live import BUILDINGS, DAYS, NAMESPACE, OVERLAY, READINGS, TRIAL, Live

SECRETS = {
    "kafka-creds": {"WATTCAST_KAFKA__USERNAME": "", "WATTCAST_KAFKA__PASSWORD": ""},
    "model-creds": {"MLFLOW_TRACKING_USERNAME": "", "MLFLOW_TRACKING_PASSWORD": ""},
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")


USAGE = pytest.StashKey[Usage]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if (usage := terminalreporter.config.stash.get(USAGE, None)) is not None:
        terminalreporter.write_line(
            f"cluster: up for {usage.seconds_up:.0f} s, {usage.peak_gib:.1f} GiB of memory at most"
        )


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config) -> Iterator[Cluster]:
    """A node with all images; nothing is deployed."""
    if reasons := missing():
        said = f"No cluster can be made here: {'; '.join(reasons)}."
        pytest.fail(said) if os.environ.get("WATTCAST_REQUIRE_K8S") else pytest.skip(said)
    folder = cluster_folder()
    build_programs(folder)
    images = Images(folder)
    images.build()
    made = Cluster(folder)
    made.up()
    pytestconfig.stash[USAGE] = usage = made.usage()
    try:
        for archive in images.archives():
            made.load(archive)
        made.tag(WATTCAST, NEXT)
        yield made
    finally:
        usage.end()
        made.down()


@pytest.fixture(scope="session")
def operator(cluster: Cluster) -> Cluster:
    """The cluster with the Spark operator, installed by its chart with the permissions of the chart."""
    for each in (NAMESPACE, TRIAL):
        cluster.kubectl("create", "namespace", each)
    values = {
        "image.registry": "localhost",
        "image.repository": "stand-ins",
        "image.tag": "1",
        "image.pullPolicy": "Never",
        "controller.podSecurityContext.runAsUser": "185",
        "webhook.podSecurityContext.runAsUser": "185",
        "spark.jobNamespaces": f"{{{NAMESPACE},{TRIAL}}}",
    }
    given = [f"--set={key}={value}" for key, value in values.items()]
    where = ["--namespace=spark-operator", "--create-namespace", "--wait", "--timeout=300s"]
    done = cluster.run("helm", "install", "spark-operator", operator_chart(), *where, *given)
    assert done.returncode == 0, done.stderr
    return cluster


@pytest.fixture(scope="session")
def live(operator: Cluster) -> Live:
    """The overlay of the tests, deployed by `wattcast deploy`."""
    state = _volume(operator, "state", "10Gi")
    _volume(operator, "kafka", "10Gi")
    for name, values in SECRETS.items():
        literals = [f"--from-literal={key}={value}" for key, value in values.items()]
        operator.kubectl("--namespace", NAMESPACE, "create", "secret", "generic", name, *literals)
    environment = Live(operator, state)
    done = environment.wattcast("deploy", str(OVERLAY), "--image", WATTCAST)
    assert done.returncode == 0, done.stdout + done.stderr
    environment.new_console(WATTCAST)
    return environment


@pytest.fixture(scope="session")
def readings(live: Live) -> Live:
    """Files with readings and metadata of the buildings; nothing is sent yet."""
    size = ("--buildings", str(BUILDINGS), "--days", str(DAYS), "--interval-minutes", "60")
    live.console("wattcast", "simulate", READINGS, *size)
    live.import_buildings()
    return live


def _volume(cluster: Cluster, name: str, size: str) -> Path:
    """A folder of this machine as a volume for a claim of this size."""
    folder = cluster.run_folder / "volumes" / name
    folder.mkdir(parents=True)
    folder.chmod(0o777)  # Kubernetes gives folders of a node to no group
    cluster.kubectl(
        "create", "-f", "-",
        stdin=f"""
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  capacity: {{storage: {size}}}
  accessModes: [ReadWriteOnce]
  claimRef: {{namespace: {NAMESPACE}, name: {"wattcast-state" if name == "state" else "data-kafka-0"}}}
  hostPath: {{path: {folder}}}
""",
    )  # fmt: skip
    return folder
