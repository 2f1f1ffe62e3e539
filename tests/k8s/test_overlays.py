"""The kustomizations of k8s/, resolved as `kubectl kustomize` does: every reference exists and fits."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattcast.deploy.applications import application
from wattcast.deploy.manifests.documents import API_VERSION
from wattcast.deploy.manifests.pod_template import PRIORITY, Target
from wattcast.deploy.manifests.schemas import schemas_in_folder
from wattcast.deploy.manifests.spark_application import manifest
from wattcast.deploy.manifests.validation import problems
from wattcast.settings import Settings

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
CRDS = schemas_in_folder(Path(__file__).parent / "crds")
OVERLAYS = ["dev", "prod"]

Document = dict[str, Any]


def documents(file: Path) -> list[Document]:
    return [each for each in yaml.safe_load_all(file.read_text(encoding="utf-8")) if each]


def built(folder: Path, base: list[Document] | None = None) -> list[Document]:
    """The documents of a kustomization, or of a base with a component."""
    (kustomization,) = documents(folder / "kustomization.yaml")
    found = list(base or [])
    for resource in kustomization.get("resources", []):
        path = folder / resource
        found += built(path) if path.is_dir() else documents(path)
    found += [config_map(folder, each) for each in kustomization.get("configMapGenerator", [])]
    for component in kustomization.get("components", []):
        found = built(folder / component, found)
    for patch in kustomization.get("patches", []):
        found = patched(found, patch["target"], patch["patch"])
    return found


def config_map(folder: Path, generator: Document) -> Document:
    data = {Path(name).name: (folder / name).read_text(encoding="utf-8") for name in generator.get("files", [])}
    for name in generator.get("envs", []):
        data |= environment(folder / name)
    metadata = {"name": generator["name"], **generator.get("options", {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def environment(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def patched(found: list[Document], target: dict[str, str], patch: str) -> list[Document]:
    def is_meant(each: Document) -> bool:
        group = each["apiVersion"].rpartition("/")[0]
        of = {"group": group, "kind": each["kind"], "name": each["metadata"]["name"]}
        return all(re.fullmatch(wanted, of[key]) for key, wanted in target.items())

    if isinstance(change := yaml.safe_load(patch), dict):
        assert change["$patch"] == "delete"
        return [each for each in found if not is_meant(each)]
    for each in filter(is_meant, found):
        for operation in change:
            apply(each, operation)
    return found


def apply(document: Document, operation: Document) -> None:
    *parents, last = operation["path"].split("/")[1:]
    place: Any = document
    for part in parents:
        place = place[int(part) if isinstance(place, list) else part]
    if last == "-":
        place.append(operation["value"])
        return
    key = int(last) if isinstance(place, list) else last
    assert operation["op"] == "add" or place[key] is not None
    place[key] = operation["value"]


def of_kind(found: list[Document], kind: str) -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in found if each["kind"] == kind}


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of everything that a manifest refers to."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        for key, part in value.items():
            match key, part:
                case (("configMapRef" | "configMap"), {"name": name}):
                    yield "ConfigMap", name
                case "secretRef", {"name": name}:
                    yield "Secret", name
                case "claimName", name:
                    yield "PersistentVolumeClaim", name
                case "priorityClassName", name:
                    yield "PriorityClass", name
                case (("serviceAccount" | "serviceAccountName"), name):
                    yield "ServiceAccount", name
            yield from references(part)


def applications(found: list[Document]) -> dict[str, Document]:
    return {each["metadata"]["name"]: each for each in found if each["apiVersion"] == API_VERSION}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_fits_the_schemas_and_the_rules(overlay: str) -> None:
    assert problems(built(K8S / "overlays" / overlay), CRDS) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_reference_of_an_application_exists_or_is_supplied_by_the_user(overlay: str) -> None:
    found = built(K8S / "overlays" / overlay)
    there = {(each["kind"], each["metadata"]["name"]) for each in found + documents(K8S / "base/secrets.example.yaml")}
    named = set(references(list(applications(found).values())))
    assert {kind for kind, _ in named} == {
        "ConfigMap", "Secret", "PersistentVolumeClaim", "PriorityClass", "ServiceAccount"
    }  # fmt: skip
    assert named <= there


def test_overlays_run_each_job_once() -> None:
    assert applications(built(K8S / "overlays/dev")).keys() == {"pipeline"}
    assert applications(built(K8S / "overlays/prod")).keys() == {
        "ingest", "aggregate", "forecast", "publish", "score", "sql-gateway", "monitor", "train", "retrain",
        "maintain",
    }  # fmt: skip


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_settings_of_the_pods_are_those_of_conf_and_valid(
    overlay: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    maps = of_kind(built(K8S / "overlays" / overlay), "ConfigMap")
    for name, text in maps["wattcast-conf"]["data"].items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    for name, value in maps["wattcast-env"]["data"].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WATTCAST_CONF", str(tmp_path))
    in_the_pod = Settings()
    monkeypatch.delenv("WATTCAST_CONF")
    assert in_the_pod == Settings()
    assert in_the_pod.kafka.bootstrap_servers


def test_development_settings_are_the_defaults_except_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WATTCAST_PROFILE", "WATTCAST_KAFKA__BOOTSTRAP_SERVERS"):
        monkeypatch.delenv(name, raising=False)
    laptop = Settings()
    for name, value in environment(K8S / "overlays/dev/wattcast.env").items():
        monkeypatch.setenv(name, value)
    assert Settings() == laptop.with_changes(kafka={"bootstrap_servers": "kafka:9092"})


def test_base_enforces_restricted_pods() -> None:
    (namespace,) = of_kind(built(K8S / "base"), "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_permissions_are_limited_to_the_namespace_and_name_each_resource() -> None:
    found = built(K8S / "base")
    assert not of_kind(found, "ClusterRole")
    roles = of_kind(found, "Role")
    for role in roles.values():
        assert all("*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]] for rule in role["rules"])
        assert not any("secrets" in rule["resources"] for rule in role["rules"])
    assert {each["roleRef"]["name"] for each in of_kind(found, "RoleBinding").values()} == roles.keys()
    assert roles["spark-operator-network-policies"]["rules"][0]["resources"] == ["networkpolicies"]


def test_all_traffic_is_denied_unless_a_policy_allows_it() -> None:
    policies = of_kind(built(K8S / "base"), "NetworkPolicy")
    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert not any({} in each["spec"].get("egress", []) + each["spec"].get("ingress", []) for each in policies.values())


def test_dns_is_allowed_at_every_address_of_the_cluster() -> None:
    """A cache of the node (NodeLocal DNSCache) is not a pod of a namespace; DNS pods of OpenShift listen at another port."""
    (rule,) = of_kind(built(K8S / "base"), "NetworkPolicy")["names"]["spec"]["egress"]
    assert "to" not in rule
    assert {(each["protocol"], each["port"]) for each in rule["ports"]} == {
        (protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)
    }


@pytest.mark.parametrize("port", [9092, 9093, 9094, 9096])
def test_kafka_is_reached_at_its_usual_ports(port: int) -> None:
    (rule,) = of_kind(built(K8S / "base"), "NetworkPolicy")["to-kafka"]["spec"]["egress"]
    assert any(each["port"] <= port <= each.get("endPort", each["port"]) for each in rule["ports"])


def test_file_with_the_authority_of_the_brokers_is_where_the_settings_of_production_say() -> None:
    text = (K8S / "overlays/prod/wattcast.env").read_text(encoding="utf-8")
    (file,) = re.findall(r"^# WATTCAST_KAFKA__SSL_CAFILE=(.+)$", text, re.MULTILINE)
    (secret,) = [
        each for each in documents(K8S / "base/secrets.example.yaml") if each["metadata"]["name"] == "kafka-ca"
    ]
    folder, name = file.rsplit("/", 1)
    assert name in secret["stringData"]
    found = applications(built(K8S / "overlays/prod"))
    for app in ("ingest", "publish", "monitor"):
        for role in ("driver", "executor"):
            pod = found[app]["spec"][role]["template"]["spec"]
            (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["mountPath"] == folder]
            assert mount["readOnly"]
            assert {"name": mount["name"], "secret": {"secretName": "kafka-ca", "optional": True}} in pod["volumes"]


def test_streaming_has_priority_over_batch_work() -> None:
    classes = of_kind(built(K8S / "base"), "PriorityClass")
    assert classes.keys() == set(PRIORITY.values())
    assert classes["wattcast-streaming"]["value"] > classes["wattcast-batch"]["value"]


def test_example_of_secrets_contains_none() -> None:
    values = {value for each in documents(K8S / "base/secrets.example.yaml") for value in each["stringData"].values()}
    assert values == {"CHANGE-ME"}
    assert not any(of_kind(built(K8S / "overlays" / overlay), "Secret") for overlay in OVERLAYS)


def test_component_object_store_equals_the_declaration_without_a_claim() -> None:
    made = built(K8S / "components/object-store", built(K8S / "overlays/prod"))
    for name, found in applications(made).items():
        assert found == manifest(application(name), Target(claim=None))
    assert not of_kind(made, "PersistentVolumeClaim")


def test_component_gives_training_a_gpu_as_the_declaration_would() -> None:
    made = applications(built(K8S / "components/gpu", built(K8S / "overlays/prod")))
    assert made["train"] == manifest(application("train"), Target(gpus=1))


@pytest.mark.parametrize(("overlay", "name"), [("dev", "pipeline"), ("prod", "forecast")])
def test_component_gives_executors_that_forecast_a_gpu_as_the_declaration_would(overlay: str, name: str) -> None:
    made = applications(built(K8S / "components/gpu-forecasts", built(K8S / "overlays" / overlay)))
    assert made[name] == manifest(application(name), Target(gpus=1))
    others = {other for other, found in made.items() if found == manifest(application(other))}
    assert others == made.keys() - {name}
