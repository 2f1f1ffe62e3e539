"""The steps of a deployment: check the documents, dry-run them on the cluster, apply them, or show the difference."""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.errors import Refused, Unreachable
from wattcast.deploy.manifests.documents import API_VERSION, Manifest, title, to_yaml, without_server_fields
from wattcast.deploy.manifests.schemas import schemas_from_open_api
from wattcast.deploy.manifests.validation import problems
from wattcast.deploy.rollout.changes import AppliedChanges, Change, Report
from wattcast.deploy.rollout.prerequisites import check_prerequisites

# Kinds that other kinds depend on, in the order in which they are applied; all others follow.
APPLY_FIRST = (
    "Namespace",
    "PriorityClass",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "Secret",
    "ConfigMap",
    "PersistentVolumeClaim",
)


def checked_documents(cluster: Cluster, documents: Sequence[Manifest]) -> list[Manifest]:
    """The documents in the order in which they are applied.

    Raises:
        Refused: a document has a problem, or the cluster lacks what the documents need.
    """
    open_api = cluster.open_api(API_VERSION)
    if open_api is None:
        raise Refused(
            f"The cluster has no Spark operator: it does not know {API_VERSION}. k8s/README.md says how to install it."
        )
    if sentences := problems(documents, schemas_from_open_api(open_api)):
        raise Refused("\n".join(sentences))
    ordered = sorted(documents, key=_apply_rank)
    check_prerequisites(cluster, ordered)
    return ordered


def created_namespaces(cluster: Cluster, documents: Sequence[Manifest], *, force: bool) -> AppliedChanges:
    """Create the namespaces of the documents that do not exist: the lock of the deployment and the dry run are in them."""
    missing = [document for document in documents if document["kind"] == "Namespace" and cluster.live(document) is None]
    with _deleted_on_failure(cluster, missing):
        for document in missing:
            cluster.apply(document, force=force)
    return AppliedChanges([Change(document, None) for document in missing])


def dry_run(cluster: Cluster, documents: Sequence[Manifest], created: AppliedChanges, *, force: bool) -> None:
    """Dry-run every document on the cluster. The created namespaces are deleted again if a document is refused; deleting them
    in every case would leave them terminating while the documents are applied."""
    with _deleted_on_failure(cluster, [change.document for change in created.changes]):
        for document in documents:
            cluster.apply(document, dry_run=True, force=force)


def apply(
    cluster: Cluster, documents: Sequence[Manifest], applied: AppliedChanges, *, force: bool, report: Report
) -> None:
    """Apply the documents that are not applied yet, and record each change in `applied`.

    A change is recorded before its request, because the answer of a request that succeeds may be lost.
    """
    created = [change.document for change in applied.changes]
    for document in created:
        report(f"{title(document)} created")
    for document in documents:
        if document in created:
            continue
        change = Change(document, cluster.live(document))
        applied.changes.append(change)
        try:
            change.after = cluster.apply(document, force=force)
        except Refused as error:
            if not isinstance(error, Unreachable):
                applied.changes.remove(change)
            raise
        if change.is_empty:
            applied.changes.remove(change)
        else:
            report(f"{change.title} {'created' if change.before is None else 'changed'}")


def differences(cluster: Cluster, documents: Sequence[Manifest], *, force: bool) -> str:
    """What applying the documents would change, as a unified diff; empty if nothing."""
    new_namespaces = {
        document["metadata"]["name"]
        for document in documents
        if document["kind"] == "Namespace" and not cluster.live(document)
    }
    lines: list[str] = []
    for document in documents:
        live = cluster.live(document)
        is_in_new_namespace = document["metadata"].get("namespace") in new_namespaces
        after = document if is_in_new_namespace else cluster.apply(document, dry_run=True, force=force)
        name = f"{document['kind']}/{document['metadata']['name']}"
        lines += difflib.unified_diff(
            _lines(live) if live else [], _lines(after), f"live/{name}", f"deployed/{name}", lineterm=""
        )
    return "\n".join(lines)


@contextmanager
def _deleted_on_failure(cluster: Cluster, documents: Sequence[Manifest]) -> Iterator[None]:
    with ExitStack() as on_failure:
        for document in documents:
            on_failure.callback(cluster.delete, document)
        yield
        on_failure.pop_all()


def _apply_rank(document: Manifest) -> int:
    kind = document["kind"]
    return APPLY_FIRST.index(kind) if kind in APPLY_FIRST else len(APPLY_FIRST)


def _lines(document: Manifest) -> list[str]:
    return to_yaml(without_server_fields(document)).splitlines()
