"""Applications that run once beside the deployed ones: a backfill, or a run of a schedule now."""

import secrets
import string
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

from wattcast.deploy.applications import application
from wattcast.deploy.cluster.application_status import ApplicationStatus
from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.errors import Refused
from wattcast.deploy.manifests.documents import API_VERSION, PART_OF_SELECTOR, Manifest, is_streaming, job_name
from wattcast.deploy.manifests.pod_template import Target
from wattcast.deploy.manifests.spark_application import manifest
from wattcast.deploy.operations.lifecycle import ENDED, wait_for_applications
from wattcast.deploy.operations.namespaces import find_application, resolve_namespace
from wattcast.deploy.rollout.changes import Report
from wattcast.times import on_the_hour

TIME_TO_LIVE_SECONDS = 7 * 24 * 3600  # an ended run stays for a week, for its status and log
SUFFIX_ALPHABET = string.ascii_lowercase + string.digits
PLACEMENT_FIELDS = ("volumes", "nodeSelector", "tolerations", "affinity", "imagePullSecrets")  # of a pod
CONTAINER_FIELDS = ("env", "volumeMounts", "resources")  # CPU and memory are not in the template
SIZE_SETTINGS = (
    "spark.sql.shuffle.partitions",
    "spark.databricks.delta.snapshotPartitions",
    "spark.metrics.namespace",
)


@dataclass(frozen=True)
class BackfillRequest:
    """The forecast origins from `first` to `end` (exclusive), both ISO 8601 and on the hour, to be forecast again."""

    first: str
    end: str
    buildings: str
    hindsight: bool
    namespace: str
    context: str
    waits: bool
    timeout_seconds: int

    def arguments(self, first: datetime, end: datetime) -> list[str]:
        """The arguments of jobs/backfill.py."""
        return [
            "--from", first.isoformat(), "--to", end.isoformat(),
            *(["--buildings", self.buildings] if self.buildings else []),
            *(["--hindsight"] if self.hindsight else []),
        ]  # fmt: skip


@dataclass(frozen=True)
class ScheduledRunRequest:
    """A run of the application of a schedule, now."""

    name: str
    namespace: str
    context: str
    waits: bool
    timeout_seconds: int


def run_backfill(request: BackfillRequest, *, report: Report) -> bool:
    """Run a backfill and follow it to its end; returns whether it succeeded (True if the request does not wait)."""
    first, end = on_the_hour(request.first), on_the_hour(request.end)
    if first >= end:
        raise Refused("--from must be before --to.")
    cluster = Cluster(request.context)
    namespace = resolve_namespace(cluster, request.namespace)
    spec = backfill_spec(_deployed_application(cluster, namespace)["spec"]) | {
        "arguments": request.arguments(first, end)
    }
    name = unique_name("backfill", compact_time(first), compact_time(end))
    document = _single_run("backfill", namespace, name, spec)
    return _submit(cluster, document, request.waits, request.timeout_seconds, report)


def run_scheduled_now(request: ScheduledRunRequest, *, report: Report) -> bool:
    """Run what a schedule starts, and follow it to its end; returns whether it succeeded (True without waiting)."""
    cluster = Cluster(request.context)
    namespace = resolve_namespace(cluster, request.namespace)
    scheduled = find_application(cluster, namespace, request.name)
    name = unique_name(request.name, compact_time(datetime.now(UTC)))
    document = _single_run(request.name, namespace, name, deepcopy(scheduled["spec"]["template"]))
    return _submit(cluster, document, request.waits, request.timeout_seconds, report)


def newest_run(cluster: Cluster, live: Manifest) -> Manifest:
    """The application that a schedule has started last; an application without a schedule is returned as it is."""
    if "schedule" not in live["spec"]:
        return live
    name, namespace = live["metadata"]["name"], live["metadata"]["namespace"]
    run_name = live.get("status", {}).get("lastRunName")
    if not run_name:
        raise Refused(f"The schedule of {name} ({live['spec']['schedule']}) has not started a run yet.")
    if (run := cluster.get(API_VERSION, "SparkApplication", run_name, namespace)) is None:
        raise Refused(f"{run_name}, the last run of {name}, no longer exists.")
    return run


def wait_until_ended(cluster: Cluster, document: Manifest, *, seconds: float) -> ApplicationStatus:
    """Wait until an application has ended, and return its status."""
    (status,) = wait_for_applications(
        cluster, [document], is_done=lambda status: status.state in ENDED, seconds=seconds,
        title=f"Waiting for {document['metadata']['name']} to end",
    )  # fmt: skip
    return status


def backfill_spec(deployed: Manifest) -> Manifest:
    """The spec of a backfill with the image, accounts, volumes, environment and Spark options of a deployed application, but
    with the size and the Secrets of a backfill."""
    spec: Manifest = manifest(application("backfill"), Target())["spec"]
    spec |= {
        key: deployed[key] for key in ("image", "imagePullPolicy", "imagePullSecrets", "hadoopConf") if key in deployed
    }
    spec["sparkConf"] |= {
        key: value for key, value in deployed.get("sparkConf", {}).items() if key not in SIZE_SETTINGS
    }
    for role in ("driver", "executor"):
        spec[role] |= {key: deployed[role][key] for key in ("serviceAccount",) if key in deployed[role]}
        _copy_environment(spec[role]["template"]["spec"], deployed[role]["template"]["spec"])
    return spec


def unique_name(*parts: str) -> str:
    """The parts and a random suffix, so that the name is not in use."""
    return "-".join([*parts, "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(4))])


def compact_time(moment: datetime) -> str:
    """A day such as 20260101, or an hour such as 20260103t06, for names of applications."""
    return f"{moment:%Y%m%d}" + (f"t{moment:%H}" if moment.hour else "")


def _submit(cluster: Cluster, document: Manifest, waits: bool, timeout_seconds: int, report: Report) -> bool:
    cluster.create(document)
    name = document["metadata"]["name"]
    report(f"{name} submitted")
    if not waits:
        return True
    status = wait_until_ended(cluster, document, seconds=timeout_seconds)
    detail = status.fault.message if status.fault else status.last_lines.get(status.driver, "")
    report(f"{name} {status.state}" + (f": {detail}" if detail else ""))
    return status.state == "COMPLETED"


def _single_run(app: str, namespace: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": namespace, "labels": application(app).labels}
    spec = {**spec, "timeToLiveSeconds": TIME_TO_LIVE_SECONDS}
    return {"apiVersion": API_VERSION, "kind": "SparkApplication", "metadata": metadata, "spec": spec}


def _deployed_application(cluster: Cluster, namespace: str) -> Manifest:
    """A streaming application of the namespace, preferably one that forecasts."""
    applications = cluster.objects(API_VERSION, "SparkApplication", namespace, PART_OF_SELECTOR)
    streaming = [app for app in applications if is_streaming(app)]
    if not streaming:
        raise Refused(
            f"The namespace {namespace} has no deployed application whose image and volumes the run could use: deploy first."
        )
    return max(streaming, key=lambda app: job_name(app) in ("forecast", "pipeline"))


def _copy_environment(pod: Manifest, deployed: Manifest) -> None:
    """Copy volumes, placement and the container's environment from the pod template of a deployed application."""
    pod |= {key: deployed[key] for key in PLACEMENT_FIELDS if key in deployed}
    container, source = pod["containers"][0], deployed["containers"][0]
    container |= {key: source[key] for key in CONTAINER_FIELDS if key in source}
    sources = source.get("envFrom", [])
    own = [entry for entry in container["envFrom"] if entry not in sources]
    container["envFrom"] = [*own, *sources]  # the last source of a variable counts
