"""Deploy: documents are checked here and by the cluster, then applied all; where one does not come to run, all is put back."""

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattcast.deploy.checks import problems, rivals
from wattcast.deploy.cluster import Cluster, Failed, Forbidden, Refused, place, plain
from wattcast.deploy.fields import schemas_of
from wattcast.deploy.manifests import API_VERSION, Manifest, as_yaml
from wattcast.deploy.ownership import applied
from wattcast.deploy.rendering import applications
from wattcast.deploy.watching import KINDS, Standing, standing, wait

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
KEPT = ("Namespace", "PersistentVolumeClaim", "Secret")  # what holds data, or what others may have put something into
REFERENCES = {
    "secretRef": ("Secret", "name"), "secret": ("Secret", "secretName"), "configMapRef": ("ConfigMap", "name"),
    "configMap": ("ConfigMap", "name"), "persistentVolumeClaim": ("PersistentVolumeClaim", "claimName"),
}  # fmt: skip

Say = Callable[[str], None]


@dataclass
class Done:
    """What a deployment has changed so far: documents that were not there, objects as they were, and what is new."""

    created: list[Manifest] = field(default_factory=list)
    before: list[Manifest] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        return not self.created and not self.before


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


def try_out(cluster: Cluster, documents: Sequence[Manifest], *, force: bool) -> None:
    """Let the cluster say of each document whether it would take it; nothing is left.

    A namespace that is not there yet has to be made for that, and is taken away again.
    """
    made = [each for each in documents if each["kind"] == "Namespace" and cluster.live(each) is None]
    try:
        for each in documents:
            cluster.apply(each, dry_run=each not in made, force=force)
    finally:
        for each in made:
            cluster.delete(each)


def apply(cluster: Cluster, documents: Sequence[Manifest], *, force: bool, say: Say) -> Done:
    """Apply all; what was changed is put back where one is refused after all."""
    done = Done()
    try:
        for each in documents:
            before = cluster.live(each)
            after = cluster.apply(each, force=force)
            if before is None:
                done.created.append(each)
            elif plain(after) != plain(before):
                done.before.append(before)
            else:
                continue
            say(f"{each['kind']} {each['metadata']['name']} {'created' if before is None else 'changed'}")
    except Refused:
        put_back(cluster, done, say)
        raise
    return done


def put_back(cluster: Cluster, done: Done, say: Say) -> None:
    """Undo what a deployment has changed, but for what may hold data by now."""
    for each in reversed(done.before):
        cluster.apply(applied(each), force=True)
        say(f"{each['kind']} {each['metadata']['name']} put back")
    for each in reversed(done.created):
        if each["kind"] in KEPT:
            say(f"{each['kind']} {each['metadata']['name']} left")
        else:
            cluster.delete(each)
            say(f"{each['kind']} {each['metadata']['name']} taken away")


def submissions(cluster: Cluster, documents: Sequence[Manifest]) -> dict[str, str]:
    """The submissions that the applications are at now, by name."""
    live = [found for each in applications(documents) if (found := cluster.live(each))]
    return {each["metadata"]["name"]: each.get("status", {}).get("submissionID", "") for each in live}


def wait_for_run(
    cluster: Cluster, documents: Sequence[Manifest], *, seconds: float, replaced: dict[str, str]
) -> list[Standing]:
    """Wait until each application runs; of one whose spec has changed, a submission other than the `replaced` one.

    Raises:
        Failed: one does not come to run.
    """

    def runs(each: Standing) -> bool:
        if each.is_suspended:
            return True
        is_new = replaced.get(each.name, "") != each.submission or each.name not in replaced
        return each.state == "Scheduled" or (each.state in ("RUNNING", "SUCCEEDING", "COMPLETED") and is_new)

    def is_lost(each: Standing) -> bool:
        is_old = each.name in replaced and replaced[each.name] == each.submission
        return not is_old and each.fault is not None and each.fault.is_final

    def look() -> Iterator[Standing]:
        for each in applications(documents):
            if (live := cluster.live(each)) is None:
                raise Failed(f"{each['metadata']['name']} was deleted meanwhile.")
            yield standing(cluster, live)

    return wait(
        lambda: list(look()), until=runs, given_up=is_lost, seconds=seconds, doing="Waiting for the applications"
    )


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
