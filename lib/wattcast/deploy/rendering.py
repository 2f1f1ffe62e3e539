"""The documents of a deployment: an overlay as kustomize renders it, or YAML that has been rendered already."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from wattcast.deploy.checks import spec_of
from wattcast.deploy.cluster import Refused
from wattcast.deploy.manifests import API_VERSION, Manifest
from wattcast.settings import project_folder

OWN_IMAGE = r"([^@:]+/)?wattcast(:.*)?"
RENDERERS = (("kubectl", "kustomize"), ("kustomize", "build"))


def rendered(overlay: str, *, manifests: str = "", image: str = "") -> list[Manifest]:
    """The documents of an overlay (a name of k8s/overlays, or a folder), or of a file of `manifests` (- is the standard
    input), every application with that image, and every server of Wattcast's own."""
    text = _read(manifests) if manifests else _kustomized(_folder(overlay))
    try:
        documents = [each for each in yaml.safe_load_all(text) if each]
    except yaml.YAMLError as error:
        line = f" in line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        raise Refused(f"{manifests or overlay} is not YAML: {getattr(error, 'problem', error)}{line}.") from error
    for each in documents:
        if not isinstance(each, dict) or not isinstance(each.get("metadata"), dict) or not each["metadata"].get("name"):
            raise Refused(f"{manifests or overlay} has a document without kind or name.")
    if not documents:
        raise Refused(f"{manifests or overlay} has no document.")
    return [_with_image(each, image) if image else each for each in documents]


def _folder(overlay: str) -> Path:
    if Path(overlay).is_dir():
        return Path(overlay)
    overlays = project_folder("k8s") / "overlays"
    names = sorted(each.name for each in overlays.iterdir())
    if overlay not in names:
        raise Refused(f"There is no overlay {overlay}: it is {' or '.join(names)}, or a folder with a kustomization.")
    return overlays / overlay


def _read(manifests: str) -> str:
    if manifests == "-":
        return sys.stdin.read()
    try:
        return Path(manifests).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{manifests} cannot be read: {error.strerror}.") from error


def _kustomized(folder: Path) -> str:
    command = next(([found, verb] for program, verb in RENDERERS if (found := shutil.which(program))), None)
    if command is None:
        raise Refused(
            "Neither kubectl nor kustomize is on the PATH: install one, or hand over what was rendered by --manifests."
        )
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{folder} cannot be rendered: {' '.join(done.stderr.split())}")
    return done.stdout


def _with_image(document: Manifest, image: str) -> Manifest:
    if document.get("apiVersion") == API_VERSION and isinstance(document.get("spec"), dict):
        spec_of(document)["image"] = image
    if document["kind"] == "Deployment":
        for container in document["spec"]["template"]["spec"]["containers"]:
            if re.fullmatch(OWN_IMAGE, container["image"]):
                container["image"] = image
    return document


def applications(documents: Sequence[Manifest]) -> list[Manifest]:
    return [each for each in documents if each.get("apiVersion") == API_VERSION]
