"""The documents of a deployment: an overlay rendered by kustomize, or YAML that is rendered already."""

import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from wattcast.deploy.errors import Refused
from wattcast.deploy.manifests.documents import API_VERSION, PART_OF_LABEL, Manifest
from wattcast.settings import project_folder

SERVER_CONTAINERS = ("api", "model-serving")  # containers of Deployments that run the image of Wattcast
RENDERERS = (("kubectl", "kustomize"), ("kustomize", "build"))


def rendered_documents(overlay: str, *, manifests: str = "", image: str = "") -> list[Manifest]:
    """The documents of an overlay (a name in k8s/overlays, or a folder), or of the file `manifests` (- is standard input).

    With an `image`, every application and every server of Wattcast uses it.

    Raises:
        Refused: the source cannot be read or rendered, or is not a list of Kubernetes documents.
    """
    text = _read(manifests) if manifests else _kustomize(_overlay_folder(overlay))
    source = manifests or overlay
    try:
        documents = [document for document in yaml.safe_load_all(text) if document]
    except yaml.YAMLError as error:
        line = f" in line {mark.line + 1}" if (mark := getattr(error, "problem_mark", None)) else ""
        raise Refused(f"{source} is not YAML: {getattr(error, 'problem', error)}{line}.") from error
    if not all(_has_identity(document) for document in documents):
        raise Refused(f"{source} has a document without apiVersion, kind or name.")
    if not documents:
        raise Refused(f"{source} has no document.")
    return [_with_image(document, image) if image else document for document in documents]


def _has_identity(document: object) -> bool:
    if not isinstance(document, dict) or not isinstance(document.get("metadata"), dict):
        return False
    return bool(document.get("kind") and document.get("apiVersion") and document["metadata"].get("name"))


def _overlay_folder(overlay: str) -> Path:
    if Path(overlay).is_dir():
        return Path(overlay)
    overlays = project_folder("k8s") / "overlays"
    names = sorted(folder.name for folder in overlays.iterdir())
    if overlay not in names:
        raise Refused(
            f"There is no overlay {overlay}: choose {' or '.join(names)}, or a folder with a kustomization.yaml."
        )
    return overlays / overlay


def _read(manifests: str) -> str:
    if manifests == "-":
        return sys.stdin.read()
    try:
        return Path(manifests).read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{manifests} cannot be read: {error.strerror}.") from error


def _kustomize(folder: Path) -> str:
    command = next(([path, verb] for program, verb in RENDERERS if (path := shutil.which(program))), None)
    if command is None:
        raise Refused(
            "Neither kubectl nor kustomize is on the PATH: install one of them, or pass rendered YAML with --manifests."
        )
    completed = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    if completed.returncode:
        raise Refused(f"{folder} cannot be rendered: {' '.join(completed.stderr.split())}")
    return completed.stdout


def _with_image(document: Manifest, image: str) -> Manifest:
    """The document with this image wherever Wattcast runs. A malformed document stays as it is; the checks report it."""
    for owner in _image_owners(document):
        owner["image"] = image
    return document


def _image_owners(document: Manifest) -> list[Manifest]:
    """The specs and containers of the document whose image is that of Wattcast."""
    is_spark_kind = document["apiVersion"] == API_VERSION
    match document:
        case {"kind": "SparkApplication", "spec": dict(spec)} if is_spark_kind:
            return [spec]
        case {"kind": "ScheduledSparkApplication", "spec": {"template": dict(spec)}} if is_spark_kind:
            return [spec]
        case {
            "kind": "Deployment",
            "spec": {"template": {"metadata": {"labels": dict(labels)}, "spec": {"containers": list(containers)}}},
        } if PART_OF_LABEL in labels.items():
            return [
                container
                for container in containers
                if isinstance(container, dict) and container.get("name") in SERVER_CONTAINERS
            ]
    return []
