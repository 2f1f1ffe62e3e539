"""`wattcast deploy` and `wattcast undeploy`."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.cluster.status import wait_until_pods_are_gone
from wattcast.deploy.errors import Forbidden
from wattcast.deploy.manifests.documents import API_VERSION, PART_OF_SELECTOR, SPARK_KINDS, Manifest, title
from wattcast.deploy.manifests.rendering import rendered_documents
from wattcast.deploy.manifests.settings_digest import with_settings_digests
from wattcast.deploy.operations.namespaces import is_missing
from wattcast.deploy.rollout.changes import AppliedChanges, Report
from wattcast.deploy.rollout.deployment_lock import deployment_lock
from wattcast.deploy.rollout.prerequisites import document_namespaces
from wattcast.deploy.rollout.readiness import summary_lines, wait_until_running
from wattcast.deploy.rollout.rollback import KEPT_KINDS, rolled_back_on_failure
from wattcast.deploy.rollout.steps import apply, checked_documents, created_namespaces, differences, dry_run

ROLLBACK_SECONDS = 900  # for the current batches of deleted applications


@dataclass(frozen=True)
class DeployRequest:
    """Which documents are deployed where, and how long the deployment waits for them."""

    overlay: str
    manifests: str
    image: str
    context: str
    force: bool
    rolls_back: bool
    waits: bool
    timeout_seconds: int
    settle_seconds: int


def deploy(request: DeployRequest, *, report: Report, report_rollback: Report) -> None:
    """Check, dry-run and apply the documents, and wait until every application and server runs.

    If one does not run, or on Ctrl-C, the deployment is rolled back. Only one deployment at a time works in a namespace.

    Raises:
        Refused: another deployment is running, or the cluster is as it was before, except for resources that may contain data.
        Failed: the deployment failed and its rollback is incomplete or switched off.
    """
    cluster, documents = _checked(request)
    created = created_namespaces(cluster, documents, force=request.force)
    with deployment_lock(cluster, document_namespaces(documents), report=report_rollback):
        dry_run(cluster, documents, created, force=request.force)
        _roll_out(cluster, documents, created, request, report, report_rollback)


def _roll_out(
    cluster: Cluster, documents: Sequence[Manifest], applied: AppliedChanges, request: DeployRequest,
    report: Report, report_rollback: Report,
) -> None:  # fmt: skip
    rolled_back = partial(rolled_back_on_failure, cluster, applied, report=report_rollback, seconds=ROLLBACK_SECONDS)
    with rolled_back():
        apply(cluster, documents, applied, force=request.force, report=report)
    if applied.is_empty:
        report("nothing to change")
    if not request.waits:
        return
    with rolled_back() if request.rolls_back else nullcontext():
        _wait(cluster, documents, applied, request, report)


def deployment_diff(request: DeployRequest) -> str:
    """What the deployment would change, as a unified diff; empty if nothing."""
    cluster, documents = _checked(request)
    return differences(cluster, documents, force=request.force)


@dataclass(frozen=True)
class Undeployment:
    """The documents of a deployment to be removed, and their cluster."""

    cluster: Cluster
    documents: Sequence[Manifest]

    @classmethod
    def of(cls, overlay: str, manifests: str, context: str) -> "Undeployment":
        return cls(Cluster(context), rendered_documents(overlay, manifests=manifests))

    @property
    def namespaces(self) -> list[str]:
        return sorted({document["metadata"].get("namespace", "") for document in self.documents} - {""})

    def run(self, *, seconds: float, report: Report) -> list[str]:
        """Delete the applications of the namespaces and the other documents, but no data; returns what is kept.

        Applications are deleted first and end between two batches: until then they need their roles and network policies.

        Raises:
            Refused: a deployment to one of the namespaces is running.
        """
        existing = [namespace for namespace in self.namespaces if not is_missing(self.cluster, namespace)]
        with deployment_lock(self.cluster, existing, report=report):
            return self._run(seconds, report)

    def _run(self, seconds: float, report: Report) -> list[str]:
        applications = [
            application
            for namespace in self.namespaces
            for kind in reversed(SPARK_KINDS)
            for application in self.cluster.objects(API_VERSION, kind, namespace, PART_OF_SELECTOR)
        ]
        for application in applications:
            self._delete(application, report)
        wait_until_pods_are_gone(self.cluster, applications, seconds=seconds)
        retained = []
        for document in reversed(self.documents):
            if document["kind"] in KEPT_KINDS or (document["kind"] == "PriorityClass" and self._has_other_namespaces()):
                retained.append(title(document))
            elif document["apiVersion"] != API_VERSION:
                self._delete(document, report)
        for namespace in self.namespaces:
            claims = self.cluster.objects("v1", "PersistentVolumeClaim", namespace)
            retained += [title(claim) for claim in claims]
        return sorted(set(retained))

    def _delete(self, document: Manifest, report: Report) -> None:
        if self.cluster.delete(document):
            report(f"{title(document)} deleted")

    def _has_other_namespaces(self) -> bool:
        """Whether Wattcast is deployed in other namespaces too; True where the account must not look."""
        try:
            live = [
                app for kind in SPARK_KINDS for app in self.cluster.objects(API_VERSION, kind, labels=PART_OF_SELECTOR)
            ]
        except Forbidden:
            return True
        return any(app["metadata"]["namespace"] not in self.namespaces for app in live)


def _checked(request: DeployRequest) -> tuple[Cluster, list[Manifest]]:
    cluster = Cluster(request.context)
    documents = rendered_documents(request.overlay, manifests=request.manifests, image=request.image)
    return cluster, with_settings_digests(checked_documents(cluster, documents))


def _wait(
    cluster: Cluster, documents: Sequence[Manifest], applied: AppliedChanges, request: DeployRequest, report: Report
) -> None:
    statuses = wait_until_running(
        cluster, documents, seconds=request.timeout_seconds, settle_seconds=request.settle_seconds,
        old_submissions=applied.old_submissions,
    )  # fmt: skip
    for line in summary_lines(statuses):
        report(line)
