"""The Helm chart has the documents of the overlay `prod`, and its values reach them."""

import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.k8s.test_overlays import CRDS, K8S, built
from tests.lib.deploy.chart.rendering import CHART, Document, default_values, rendered_chart

from wattcast.deploy.chart.files import chart_files
from wattcast.deploy.chart.placeholders import KEEP, VALUES_ANNOTATION, Values, template_text
from wattcast.deploy.manifests.documents import is_streaming, spark_applications, spark_spec
from wattcast.deploy.manifests.settings_digest import ANNOTATION, with_settings_digests
from wattcast.deploy.manifests.validation import problems


def by_name(documents: Sequence[Document]) -> dict[tuple[str, str], Document]:
    """Without the namespace, which is that of the release."""
    found = {(document["kind"], document["metadata"]["name"]): deepcopy(document) for document in documents}
    for document in found.values():
        document["metadata"].pop("namespace", None)
        for subject in document.get("subjects", []):
            if subject["name"] == "wattcast-driver":
                subject.pop("namespace", None)
    return found


def without_annotations(value: Any, *names: str) -> Any:
    """Without these annotations, and without annotations where there are no others."""
    if isinstance(value, list):
        return [without_annotations(item, *names) for item in value]
    if not isinstance(value, dict):
        return value
    result = {key: without_annotations(part, *names) for key, part in value.items() if key not in names}
    return {key: part for key, part in result.items() if key != "annotations" or part}


def state_volumes(documents: Sequence[Document]) -> list[Document]:
    pods = [
        spark_spec(app)[role]["template"] for app in spark_applications(documents) for role in ("driver", "executor")
    ]
    pods += [document["spec"]["template"] for document in documents if document["kind"] == "Deployment"]
    return [volume for pod in pods for volume in pod["spec"]["volumes"] if volume["name"] == "state"]


def test_committed_chart_is_that_of_the_overlay() -> None:
    if not (shutil.which("kubectl") or shutil.which("kustomize")):
        pytest.skip("needs kubectl or kustomize")
    committed = {
        str(file.relative_to(CHART)): file.read_text(encoding="utf-8") for file in CHART.rglob("*") if file.is_file()
    }
    assert committed == chart_files(), "write it again: python -m wattcast.deploy.chart"


def test_chart_with_its_defaults_equals_the_overlay() -> None:
    overlay = [document for document in built(K8S / "overlays/prod") if document["kind"] != "Namespace"]
    chart = without_annotations(rendered_chart(), VALUES_ANNOTATION, *KEEP)
    assert by_name(chart) == by_name(with_settings_digests(overlay))


def test_chart_fits_the_schemas_and_the_rules() -> None:
    assert problems(rendered_chart(), CRDS) == []


def test_everything_is_in_the_namespace_of_the_release() -> None:
    documents = rendered_chart(namespace="mine")
    outside = {document["kind"] for document in documents if document["metadata"].get("namespace") != "mine"}
    assert outside == {"PriorityClass"}
    subjects = {subject["name"]: subject["namespace"] for each in documents for subject in each.get("subjects", [])}
    assert subjects == {"wattcast-driver": "mine", "spark-operator-controller": "spark-operator"}


def test_image_is_that_of_every_application_and_of_the_api() -> None:
    text = yaml.safe_dump_all(rendered_chart({"image": "registry:5000/wattcast@sha256:0a"}))
    assert text.count("image: registry:5000/wattcast@sha256:0a\n") == len(default_values()["applications"]) + 1
    assert default_values()["image"] not in text


def test_changed_settings_restart_what_the_deployment_command_restarts() -> None:
    def templates(documents: Sequence[Document]) -> dict[str, Document]:
        pods = {app["metadata"]["name"]: app["spec"]["driver"]["template"] for app in streaming(documents)}
        return pods | {
            each["metadata"]["name"]: each["spec"]["template"] for each in documents if each["kind"] == "Deployment"
        }

    def streaming(documents: Sequence[Document]) -> list[Document]:
        return [app for app in spark_applications(documents) if is_streaming(app)]

    before = rendered_chart()
    after = rendered_chart({"env": {"WATTCAST_KAFKA__BOOTSTRAP_SERVERS": "one:9092,two:9092"}})
    (env,) = [each for each in after if each["metadata"]["name"] == "wattcast-env"]
    assert env["data"]["WATTCAST_KAFKA__BOOTSTRAP_SERVERS"] == "one:9092,two:9092"
    changed = [new["metadata"]["name"] for new, old in zip(after, before, strict=True) if new != old]
    assert sorted(changed) == sorted(["wattcast-env", *templates(after)])
    assert all(
        {ANNOTATION, VALUES_ANNOTATION} <= pod["metadata"]["annotations"].keys() for pod in templates(after).values()
    )


def test_lake_in_an_object_store_needs_no_claim() -> None:
    env = {"WATTCAST_LAKE": "s3a://b/lake", "WATTCAST_MODEL__TRACKING_URI": "http://mlflow"}
    documents = rendered_chart({"env": env, "state": {"persistentVolumeClaim": None, "emptyDir": {}}, "claim": None})
    assert all(volume == {"name": "state", "emptyDir": {}} for volume in state_volumes(documents))
    assert not [each for each in documents if each["kind"] == "PersistentVolumeClaim"]
    assert problems(documents, CRDS) == []


def test_storage_class_and_sizes_are_values() -> None:
    documents = rendered_chart({
        "claim": {"storageClassName": "nfs"}, "api": {"resources": {"limits": {"memory": "4Gi"}}},
        "applications": {"forecast": {"executor": {"instances": 6}}, "train": {"schedule": "0 4 * * 1"}},
    })  # fmt: skip
    found = by_name(documents)
    assert found["PersistentVolumeClaim", "wattcast-state"]["spec"]["storageClassName"] == "nfs"
    assert found["PersistentVolumeClaim", "wattcast-state"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert found["SparkApplication", "forecast"]["spec"]["executor"]["instances"] == 6
    assert found["ScheduledSparkApplication", "train"]["spec"]["schedule"] == "0 4 * * 1"
    (container,) = found["Deployment", "api"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}


def test_what_is_switched_off_is_left_out() -> None:
    changes = {"applications": {"sqlGateway": {"enabled": False}}, "priorityClasses": False}
    left_out = by_name(rendered_chart()).keys() - by_name(rendered_chart(changes)).keys()
    assert left_out == {
        ("SparkApplication", "sql-gateway"), ("PriorityClass", "wattcast-streaming"), ("PriorityClass", "wattcast-batch")
    }  # fmt: skip


def test_removal_of_a_release_keeps_the_claim() -> None:
    claim = by_name(rendered_chart())["PersistentVolumeClaim", "wattcast-state"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_value_with_two_defaults_is_an_error() -> None:
    values = Values()
    values.take({"image": "a:1"}, "image", "image")
    with pytest.raises(ValueError, match="The value image has two defaults: a:1 and b:1"):
        values.take({"image": "b:1"}, "image", "image")


def test_text_that_helm_would_take_for_an_expression_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be in a chart"):
        template_text("message: '{{ $labels.pod }}'")


def test_folder_of_the_chart_has_its_name() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["name"], Path(CHART).name) == ("wattcast", "wattcast")
    assert default_values()["image"] == f"wattcast:{chart['appVersion']}"
