"""Deploy: documents are checked here and by the cluster, then applied all."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from wattcast.deploy.checks import problems, rivals
from wattcast.deploy.cluster import Cluster, Forbidden, Refused, Unanswered, place, plain
from wattcast.deploy.fields import schemas_of
from wattcast.deploy.manifests import API_VERSION, Manifest, as_yaml
from wattcast.deploy.rendering import applications
from wattcast.deploy.undoing import Change, Done, Say
from wattcast.deploy.watching import KINDS

# What others need comes first.
ORDER = (
    "Namespace",
    "PriorityClass",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
)
REFERENCES = {
    "secretRef": ("Secret", "name"), "secret": ("Secret", "secretName"), "configMapRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"), "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}  # fmt: skip


def checked(cluster: Cluster, documents: Sequence[Manifest]) -> list[Manifest]:
    """The documents in the order in which they are applied.

    Raises:
        Refused: something is wrong with them, or the cluster lacks what they need.
    """
    open_api = cluster.open_api(API_VERSION)
    if open_api is None:
        raise Refused(
            f"The cluster has no Spark operator: it does not know {API_VERSION}. k8s/README.md says how to install it."
        )
    if wrong := problems(documents, schemas_of(open_api)):
        raise Refused("\n".join(wrong))
    ordered = sorted(documents, key=lambda each: ORDER.index(each["kind"]) if each["kind"] in ORDER else len(ORDER))
    missing = [line for namespace in _namespaces(ordered) for line in _missing(cluster, ordered, namespace)]
    if missing:
        raise Refused("\n".join(missing))
    beside = [each for namespace in _namespaces(ordered) for each in _running_beside(cluster, ordered, namespace)]
    if also := list(rivals([*applications(ordered), *beside])):
        raise Refused("\n".join(f"{what}." for what in also))
    return ordered


def try_out(cluster: Cluster, documents: Sequence[Manifest], *, force: bool) -> Done:
    """Let the cluster say of each document whether it would take it.

    A namespace that is not there yet has to be made for that. It is what is returned as done, and is taken away again where one
    is refused; to delete it in any case would leave it on its way out while the documents are applied.
    """
    made: list[Change] = []
    with ExitStack() as unless_all_would_be_taken:
        for each in documents:
            is_made = each["kind"] == "Namespace" and cluster.live(each) is None
            if is_made:
                made.append(Change(each, None))
                unless_all_would_be_taken.callback(cluster.delete, each)
            cluster.apply(each, dry_run=not is_made, force=force)
        unless_all_would_be_taken.pop_all()
    return Done(made)


def apply(cluster: Cluster, documents: Sequence[Manifest], done: Done, *, force: bool, say: Say) -> None:
    """Apply all that is not done yet, and note what is changed; the note comes first, since an answer may be lost."""
    made = [change.document for change in done.changes]
    for each in made:
        say(f"{each['kind']} {each['metadata']['name']} created")
    for each in documents:
        if each in made:
            continue
        change = Change(each, cluster.live(each))
        done.changes.append(change)
        try:
            change.after = cluster.apply(each, force=force)
        except Refused as error:
            if not isinstance(error, Unanswered):
                done.changes.remove(change)
            raise
        if change.is_none:
            done.changes.remove(change)
        else:
            say(f"{change.title} {'created' if change.before is None else 'changed'}")


def differences(cluster: Cluster, documents: Sequence[Manifest], *, force: bool) -> str:
    """What applying the documents would change, as a unified diff; empty where nothing."""
    absent = {each["metadata"]["name"] for each in documents if each["kind"] == "Namespace" and not cluster.live(each)}
    parts: list[str] = []
    for each in documents:
        live = cluster.live(each)
        after = each if each["metadata"].get("namespace") in absent else cluster.apply(each, dry_run=True, force=force)
        title = f"{each['kind']}/{each['metadata']['name']}"
        parts += difflib.unified_diff(
            _lines(live) if live else [], _lines(after), f"live/{title}", f"deployed/{title}", lineterm=""
        )
    return "\n".join(parts)


def references(value: Any) -> Iterator[tuple[str, str]]:
    """Kind and name of the Secrets, ConfigMaps and claims without which a pod cannot start."""
    if isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        for key, part in value.items():
            if key in REFERENCES and isinstance(part, dict) and not part.get("optional"):
                kind, name = REFERENCES[key]
                if name in part:
                    yield kind, part[name]
            yield from references(part)


def _missing(cluster: Cluster, documents: Sequence[Manifest], namespace: str) -> Iterator[str]:
    """What pods of a namespace refer to and what is neither there nor among the documents."""
    there = {(each["kind"], each["metadata"]["name"]) for each in documents}
    is_absent = cluster.get("v1", "Namespace", namespace) is None
    if is_absent and ("Namespace", namespace) not in there:
        yield f"The namespace {namespace} does not exist: `kubectl create namespace {namespace}` makes it."
        return
    within = [each for each in documents if each["metadata"].get("namespace") == namespace]
    needed = sorted({*references([each.get("spec") for each in within])} - there)
    first = f"`kubectl create namespace {namespace}`, then " if is_absent else ""
    for kind, name in needed:
        if not _is_there(cluster, kind, name, namespace):
            how = {
                "Secret": f"{first}`kubectl apply -n {namespace} -f` a copy of k8s/base/secrets.example.yaml with your values"
            }.get(kind, "add it to the overlay")
            yield f"The namespace {namespace} has no {kind} {name}, which the manifests refer to: {how}."


def _is_there(cluster: Cluster, kind: str, name: str, namespace: str) -> bool:
    """Whether the cluster has it; what one may not look up may be there."""
    try:
        return cluster.get("v1", kind, name, namespace) is not None
    except Forbidden:
        return True


def _running_beside(cluster: Cluster, documents: Sequence[Manifest], namespace: str) -> list[Manifest]:
    """The applications of a namespace that are neither stopped nor among the documents."""
    mine = {(each["kind"], each["metadata"]["name"]) for each in applications(documents)}
    live = [each for kind in KINDS for each in cluster.objects(API_VERSION, kind, namespace)]
    return [
        each for each in live
        if (each["kind"], each["metadata"]["name"]) not in mine and not each["spec"].get("suspend")
        and not each["metadata"].get("ownerReferences")
    ]  # fmt: skip


def _namespaces(documents: Sequence[Manifest]) -> list[str]:
    without = [each for each in applications(documents) if not each["metadata"].get("namespace")]
    if without:
        raise Refused(
            f"{without[0]['kind']} {without[0]['metadata']['name']} names no namespace: the overlay must set one."
        )
    return sorted({place(each)[3] for each in documents} - {""})


def _lines(document: Manifest) -> list[str]:
    return as_yaml(plain(document)).splitlines()
