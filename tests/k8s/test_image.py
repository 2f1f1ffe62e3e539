"""The image has a bill of materials in CycloneDX and labels, and runs without privileges."""

import json
import shutil
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from k8s.image import INVENTORY, Engine, bill_of_materials, image_labels
from tests.k8s.cluster.build import WATTCAST, Images
from tests.k8s.cluster.node import Cluster


def components(document: str) -> set[str]:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None
    return {each["purl"] for each in json.loads(document)["components"]}


def test_bill_of_materials_names_packages_and_jars_by_their_kind() -> None:
    inventory = [
        ["deb", "debian", "tini", "0.19.0-1"],
        ["pypi", None, "torch", "2.13.0+cpu"],
        ["jar", None, "delta-storage-4.4.0.jar", ""],
        ["jar", None, "guava-33.4-jre.jar", ""],
        ["pypi", None, "torch", "2.13.0+cpu"],
    ]
    assert components(bill_of_materials("wattcast:1", json.dumps(inventory))) == {
        "pkg:deb/debian/tini@0.19.0-1",
        "pkg:pypi/torch@2.13.0%2Bcpu",
        "pkg:maven/io.delta/delta-storage@4.4.0",
        "pkg:generic/guava@33.4-jre",
    }


@pytest.mark.parametrize(("program", "has_times"), [("podman", True), ("buildah", True), ("docker", False)])
def test_files_of_an_image_get_the_time_of_the_commit_if_the_program_supports_it(
    program: str, has_times: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options of each program, although a machine has only one of them as a rule."""
    file = tmp_path / program
    file.write_text(f'#!{shutil.which("sh")}\nprintf "%s\\n" "$@" > {tmp_path}/options\n')
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    arguments = {"SOURCE_DATE_EPOCH": "1700000000", "VERSION": "1", "REVISION": "c0ffee", "TORCH_INDEX": ""}
    Engine(program).build("wattcast:1", arguments)
    options = (tmp_path / "options").read_text(encoding="utf-8").splitlines()
    assert {
        "build",
        "--tag=wattcast:1",
        "--build-arg=SOURCE_DATE_EPOCH=1700000000",
        "--build-arg=VERSION=1",
        "--label=org.opencontainers.image.version=1",
        "--label=org.opencontainers.image.revision=c0ffee",
    } <= set(options)
    assert not [option for option in options if option.startswith("--build-arg=TORCH_INDEX")]
    assert ("--timestamp=1700000000" in options) == has_times


@pytest.fixture
def images(cluster: Cluster) -> Images:
    return Images(cluster.folder)


def test_image_contains_the_locked_packages(images: Images) -> None:
    found = components(bill_of_materials(WATTCAST, images.engine.python(WATTCAST, INVENTORY)))
    wanted = (
        "pkg:pypi/pyspark@4.2.0",
        "pkg:pypi/wattcast@",
        "pkg:maven/io.delta/delta-spark_4.2_2.13@4.4.0",
        "pkg:deb/debian/tini@",
    )
    assert [each for each in wanted if not any(purl.startswith(each) for purl in found)] == []
    assert not any(purl.startswith(("pkg:pypi/pytest@", "pkg:pypi/pip@")) for purl in found)


def test_image_has_labels_and_runs_without_privileges(images: Images) -> None:
    config = json.loads(images.engine.output("inspect", "--type=image", WATTCAST))["OCIv1"]["config"]
    labels = {key.rpartition(".")[2]: value for key, value in config["Labels"].items() if "opencontainers" in key}
    assert (labels["version"], labels["revision"]) == (image_labels()["VERSION"], image_labels()["REVISION"])
    assert config["User"] == "185"
