"""The components that an overlay can add, and the permissions of deployers."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.k8s.test_overlays import CRDS, K8S, Document, applications, built, documents, of_kind, references

from wattcast.deploy.manifests.documents import API_VERSION
from wattcast.deploy.manifests.pod_template import METRICS_PORT, Target
from wattcast.deploy.manifests.rendering import rendered_documents
from wattcast.deploy.manifests.validation import problems

README = K8S / "README.md"
COMPONENTS = ["api", "model-serving", "monitoring"]
SERVERS = ["api", "model-serving"]
SPARK_UI = 4040
PARTS = "app.kubernetes.io/part-of"


def overlay(folder: Path, *components: str, base: str = "prod") -> Path:
    """A custom overlay: one of the project with components."""

    def path(name: str) -> str:
        return os.path.relpath(K8S / name, folder)

    named = [path(f"components/{name}") for name in components]
    text = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "namespace": "mine",
            "resources": [path(f"overlays/{base}")], "components": named}  # fmt: skip
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(text), encoding="utf-8")
    return folder


@pytest.fixture
def everything(tmp_path: Path) -> list[Document]:
    """Production with all components."""
    return built(overlay(tmp_path, "model-serving", "monitoring"))


def pod(document: Document) -> Any:
    return document["spec"]["template"]["spec"]


def test_all_components_fit_the_schemas_and_the_rules_and_find_what_they_refer_to(everything: list[Document]) -> None:
    assert problems(everything, CRDS) == []
    there = {
        (each["kind"], each["metadata"]["name"]) for each in everything + documents(K8S / "base/secrets.example.yaml")
    }
    assert set(references(everything)) <= there
    assert of_kind(everything, "Deployment").keys() == {"api", "model-serving", "prometheus", "logs"}


def test_kustomize_renders_an_overlay_as_these_tests_do(everything: list[Document], tmp_path: Path) -> None:
    if not (shutil.which("kubectl") or shutil.which("kustomize")):
        pytest.skip("needs kubectl or kustomize")

    def by_name(found: list[Document]) -> dict[tuple[str, str], Document]:
        """Without what the namespace of an overlay changes."""
        kept = [each for each in found if each["kind"] not in ("Namespace", "RoleBinding")]
        return {(each["kind"], each["metadata"]["name"]): {**each, "metadata": {}} for each in kept}

    assert by_name(rendered_documents(str(tmp_path))) == by_name(everything)


def test_other_image_is_used_wherever_wattcast_runs(everything: list[Document], tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(
        yaml.safe_dump_all(everything).replace(Target().image, "registry:5000/energy@sha256:0a"), encoding="utf-8"
    )
    made = rendered_documents("", manifests=str(file), image="wattcast:2")
    images = re.findall(r"^ *(?:- )?image: (.+)$", yaml.safe_dump_all(made), re.MULTILINE)
    assert set(images) == {"wattcast:2", "prom/prometheus:v3.5.0", "grafana/alloy:v1.10.0"}


@pytest.mark.parametrize("name", SERVERS)
def test_server_is_probed_scaled_and_kept_while_nodes_are_drained(everything: list[Document], name: str) -> None:
    deployment = of_kind(everything, "Deployment")[name]
    (container,) = pod(deployment)["containers"]
    assert container["args"][:4] == ["wattcast", "serve", "--host", "0.0.0.0"]
    assert {container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness")} == {"/healthz"}
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert of_kind(everything, "PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"] == labels
    assert of_kind(everything, "Service")[name]["spec"]["selector"] == labels
    scaler = of_kind(everything, "HorizontalPodAutoscaler")[name]["spec"]
    assert scaler["scaleTargetRef"]["name"] == name
    assert scaler["minReplicas"] > of_kind(everything, "PodDisruptionBudget")[name]["spec"]["minAvailable"]
    assert "replicas" not in deployment["spec"]
    assert container["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("name", SERVERS)
def test_server_reads_only_and_has_no_token_and_its_keys_by_reference(everything: list[Document], name: str) -> None:
    spec = pod(of_kind(everything, "Deployment")[name])
    (container,) = spec["containers"]
    mounts = {each["name"]: each for each in container["volumeMounts"]}
    assert [each for each, mount in mounts.items() if not mount.get("readOnly")] == ["tmp"]
    assert spec["automountServiceAccountToken"] is False
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["WATTCAST_SERVING__KEYS_FILE"].startswith(mounts["keys"]["mountPath"])
    assert environment["WATTCAST_LOG__FORMAT"] == "json"
    volumes = {each["name"]: each for each in spec["volumes"]}
    assert volumes["keys"]["secret"]["secretName"] == "api-keys"


@pytest.mark.parametrize("name", SERVERS)
def test_lake_of_a_server_is_in_the_object_store_where_that_of_the_jobs_is(name: str) -> None:
    made = built(K8S / "components/object-store", built(K8S / "components/model-serving", built(K8S / "overlays/prod")))
    volumes = {each["name"]: each for each in pod(of_kind(made, "Deployment")[name])["volumes"]}
    assert volumes["state"] == {"name": "state", "emptyDir": {}}
    assert ("PersistentVolumeClaim", "wattcast-state") not in set(references(made))


def test_prometheus_scrapes_the_annotated_pods_and_the_api_with_a_key(
    everything: list[Document], tmp_path: Path
) -> None:
    config = yaml.safe_load(of_kind(everything, "ConfigMap")["prometheus"]["data"]["prometheus.yml"])
    jobs = {each["job_name"]: each for each in config["scrape_configs"]}
    rules = {tuple(each["source_labels"]): each for each in jobs["applications"]["relabel_configs"]}
    is_asked = re.compile(rules[("__meta_kubernetes_pod_annotation_prometheus_io_scrape",)]["regex"])
    templates = [
        each["spec"]["template"] for each in everything if each["kind"] == "Deployment"
    ] + [spec["driver"]["template"] for each in applications(everything).values()
         if (spec := each["spec"].get("template", each["spec"]))]  # fmt: skip
    asked = {
        each["metadata"]["labels"]["app.kubernetes.io/name"]
        for each in templates if is_asked.fullmatch(each["metadata"].get("annotations", {}).get("prometheus.io/scrape", ""))
    }  # fmt: skip
    assert asked == {"ingest", "aggregate", "forecast", "publish", "score", "monitor", *SERVERS}
    selected = {
        "applications": f"app.kubernetes.io/name notin ({','.join(SERVERS)})",
        "servers": f"app.kubernetes.io/name in ({','.join(SERVERS)})",
        "spark": "spark-role=driver",
        "spark-executors": "spark-role=driver",
    }
    assert selected.keys() == jobs.keys()
    for name, label in selected.items():
        (discovery,) = jobs[name].pop("kubernetes_sd_configs")  # Debian's build of Prometheus has no Kubernetes in it
        (selector,) = discovery["selectors"]
        assert selector["label"] == f"{PARTS}=wattcast,{label}"
    (container,) = of_kind(everything, "Deployment")["prometheus"]["spec"]["template"]["spec"]["containers"]
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert jobs["servers"]["authorization"] == {"credentials_file": f"{mounted['keys']}/key"}
    assert "authorization" not in jobs["applications"]
    file = tmp_path / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    if promtool := shutil.which("promtool"):
        done = subprocess.run([promtool, "check", "config", "--syntax-only", file], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_scraped_pods_admit_prometheus(everything: list[Document]) -> None:
    policies = of_kind(everything, "NetworkPolicy")

    def open_ports(name: str) -> set[int]:
        (ingress,) = policies[name]["spec"]["ingress"]
        return {each["port"] for each in ingress["ports"]}

    annotated = {
        int(port) for port in re.findall(r"prometheus\.io/port['\"]?: ['\"]?(\d+)", yaml.safe_dump(everything))
    }
    assert open_ports("scraped") == annotated | {SPARK_UI}
    assert open_ports("metrics") == {METRICS_PORT, SPARK_UI}  # the API lets in who has a key


def test_metrics_of_spark_are_scraped_where_a_driver_serves_them(everything: list[Document]) -> None:
    config = yaml.safe_load(of_kind(everything, "ConfigMap")["prometheus"]["data"]["prometheus.yml"])
    jobs = {each["job_name"]: each for each in config["scrape_configs"]}
    conf = applications(everything)["ingest"]["spec"]["sparkConf"]
    assert jobs["spark"]["metrics_path"] == conf["spark.metrics.conf.*.sink.prometheusServlet.path"]
    assert conf["spark.ui.prometheus.enabled"] == "true"
    assert jobs["spark-executors"]["metrics_path"] == "/metrics/executors/prometheus"
    for name in ("spark", "spark-executors"):
        assert f"$1:{SPARK_UI}" in [each.get("replacement") for each in jobs[name]["relabel_configs"]]


def test_prometheus_has_the_alert_rules_and_grafana_the_dashboards(everything: list[Document]) -> None:
    maps, monitoring = of_kind(everything, "ConfigMap"), K8S / "monitoring"
    assert maps["wattcast-rules"]["data"] == {"rules.yaml": (monitoring / "rules.yaml").read_text(encoding="utf-8")}
    assert maps["wattcast-dashboards"]["data"].keys() == {each.name for each in monitoring.glob("dashboards/*.json")}
    prometheus = pod(of_kind(everything, "Deployment")["prometheus"])
    (mount,) = [each for each in prometheus["containers"][0]["volumeMounts"] if each["name"] == "rules"]
    assert {"name": "rules", "configMap": {"name": "wattcast-rules"}} in prometheus["volumes"]
    config = yaml.safe_load(maps["prometheus"]["data"]["prometheus.yml"])
    assert f"{mount['mountPath']}/*.yaml" in config["rule_files"]


def test_logs_are_shipped_from_the_pods_of_wattcast_without_a_folder_of_the_node(everything: list[Document]) -> None:
    config = of_kind(everything, "ConfigMap")["logs"]["data"]["config.alloy"]
    assert f"{PARTS}=wattcast" in config
    role = of_kind(everything, "Role")["wattcast-monitoring"]
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "watch"]}]
    assert config.count("{") == config.count("}")


KINDS = {
    "SparkApplication": "sparkapplications", "ScheduledSparkApplication": "scheduledsparkapplications",
    "ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims", "Service": "services",
    "ServiceAccount": "serviceaccounts", "Deployment": "deployments", "StatefulSet": "statefulsets",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers", "PodDisruptionBudget": "poddisruptionbudgets",
    "NetworkPolicy": "networkpolicies", "Role": "roles", "RoleBinding": "rolebindings", "Namespace": "namespaces",
    "PriorityClass": "priorityclasses",
}  # fmt: skip


def granted(rules: list[Document]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules for group in rule["apiGroups"] for resource in rule["resources"] for verb in rule["verbs"]
    }  # fmt: skip


def test_deployer_may_apply_and_roll_back_everything_in_an_overlay(everything: list[Document]) -> None:
    rights = built(K8S / "deployer")
    may = granted(
        [rule for kind in ("Role", "ClusterRole") for role in of_kind(rights, kind).values() for rule in role["rules"]]
    )
    for each in everything + built(K8S / "overlays/dev"):
        group = each["apiVersion"].rpartition("/")[0]
        verbs = (
            {"get", "patch"}
            if each["kind"] in ("Namespace", "PersistentVolumeClaim")
            else {"get", "create", "patch", "delete"}
        )
        assert {(group, KINDS[each["kind"]], verb) for verb in verbs} <= may, each["kind"]
    applied = {(API_VERSION.rpartition("/")[0], "sparkapplications/status", "patch")}
    assert applied | {("", "pods/log", "get"), ("", "events", "list"), ("", "pods", "list")} <= may
    one_at_a_time = {("coordination.k8s.io", "leases", verb) for verb in ("get", "create", "update")}
    assert one_at_a_time <= may


def test_deployer_has_the_permissions_that_it_grants_and_no_others_that_matter(everything: list[Document]) -> None:
    (role,) = of_kind(built(K8S / "deployer"), "Role").values()
    for given in of_kind(everything, "Role").values():
        assert granted(given["rules"]) <= granted(role["rules"]), given["metadata"]["name"]
    assert not any("*" in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]] for rule in role["rules"])
    assert not {"secrets", "pods/exec"} & {resource for _, resource, _ in granted(role["rules"])}
    assert not {"escalate", "bind", "impersonate"} & {verb for _, _, verb in granted(role["rules"])}


def test_patch_of_the_readme_restarts_streaming_applications_and_servers(tmp_path: Path) -> None:
    if not (shutil.which("kubectl") or shutil.which("kustomize")):
        pytest.skip("needs kubectl or kustomize")
    (text,) = [block for block in re.findall(r"```yaml\n(.+?)```", README.read_text(), re.DOTALL) if "version" in block]
    file = overlay(tmp_path) / "kustomization.yaml"
    file.write_text(f"{file.read_text()}{text}", encoding="utf-8")
    found = rendered_documents(str(tmp_path))
    annotated = {each["metadata"]["name"] for each in found if "wattcast/settings-version: '2'" in yaml.safe_dump(each)}
    concerned = {each["metadata"]["name"] for each in found if each["kind"] in ("SparkApplication", "Deployment")}
    assert annotated == concerned
    assert "prometheus.io/scrape" in yaml.safe_dump(applications(found)["ingest"]["spec"]["driver"]["template"])
