"""The documents of a deployment: an overlay as kustomize renders it, or YAML that has been rendered already."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from wattcast.deploy.cluster import Refused
from wattcast.deploy.manifests import API_VERSION, Manifest
from wattcast.settings import project_folder

PART_OF = ("app.kubernetes.io/part-of", "wattcast")
SERVERS = ("api", "model-serving")  # containers with the image of Wattcast in a Deployment
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
        if not _is_named(each):
            raise Refused(f"{manifests or overlay} has a document without apiVersion, kind or name.")
    if not documents:
        raise Refused(f"{manifests or overlay} has no document.")
    return [_with_image(each, image) if image else each for each in documents]


def _is_named(document: object) -> bool:
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return False
    return bool(document.get("kind") and document.get("apiVersion") and document["metadata"].get("name"))


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
    """The document with that image where Wattcast runs, whatever its image was called; a wrong document stays, for the checks."""
    for place in _places_of_image(document):
        place["image"] = image
    return document


def _places_of_image(document: Manifest) -> list[Manifest]:
    is_of_operator = document["apiVersion"] == API_VERSION
    match document:
        case {"kind": "SparkApplication", "spec": dict(spec)} if is_of_operator:
            return [spec]
        case {"kind": "ScheduledSparkApplication", "spec": {"template": dict(spec)}} if is_of_operator:
            return [spec]
        case {
            "kind": "Deployment",
            "spec": {"template": {"metadata": {"labels": labels}, "spec": {"containers": list(found)}}},
        }:
            is_own = isinstance(labels, dict) and PART_OF in labels.items()
            return [each for each in found if is_own and isinstance(each, dict) and each.get("name") in SERVERS]
    return []


def applications(documents: Sequence[Manifest]) -> list[Manifest]:
    return [each for each in documents if each.get("apiVersion") == API_VERSION]
