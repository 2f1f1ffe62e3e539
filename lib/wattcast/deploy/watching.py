"""How the applications and servers of a cluster stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wattcast.deploy.checks import is_streaming
from wattcast.deploy.cluster import Cluster, Failed, Refused
from wattcast.deploy.diagnosis import Fault, diagnosed, moment, running_since, state
from wattcast.deploy.manifests import API_VERSION, Manifest
from wattcast.deploy.servers import SERVERS, SERVERS_API_VERSION, Server, fault_of
from wattcast.deploy.waiting import wait

APP_LABEL = "sparkoperator.k8s.io/app-name"
UNITS = {"d": 24 * 3600, "h": 3600, "min": 60, "s": 1}
KINDS = ("SparkApplication", "ScheduledSparkApplication")


@dataclass(frozen=True)
class Standing:
    """An application as it is now."""

    application: Manifest
    pods: Sequence[Manifest]
    fault: Fault | None
    last_lines: Mapping[str, str] = field(default_factory=dict)  # of the pods that have ended

    @property
    def name(self) -> str:
        return str(self.application["metadata"]["name"])

    @property
    def state(self) -> str:
        return state(self.application)

    @property
    def kind(self) -> str:
        """How it lives."""
        if "schedule" in self.application["spec"]:
            return "scheduled"
        return "streaming" if is_streaming(self.application) else "batch"

    @property
    def submission(self) -> str:
        """The id of the newest submission; a new one for each time that the operator starts it."""
        return str(self.application.get("status", {}).get("submissionID", ""))

    @property
    def is_suspended(self) -> bool:
        return bool(self.application["spec"].get("suspend"))

    @property
    def attempts(self) -> int | None:
        attempts: int | None = self.application.get("status", {}).get("executionAttempts")
        return attempts

    @property
    def since(self) -> datetime | None:
        """When it was submitted last, by hand or by its schedule."""
        status = self.application.get("status", {})
        text = status.get("lastSubmissionAttemptTime") or status.get("lastRun")
        return moment(text) if text else None

    @property
    def age(self) -> str:
        """The time since then, in its largest unit."""
        if self.since is None:
            return ""
        seconds = (datetime.now(UTC) - self.since).total_seconds()
        unit, count = next((unit, seconds // size) for unit, size in UNITS.items() if seconds >= size or size == 1)
        return f"{count:.0f} {unit}"

    @property
    def driver_phase(self) -> str:
        return next((pod["status"].get("phase", "") for pod in self.pods if pod["metadata"]["name"] == self.driver), "")

    @property
    def driver(self) -> str:
        """The name of the driver's pod, if there is one."""
        roles = {pod["metadata"]["labels"].get("spark-role"): pod["metadata"]["name"] for pod in self.pods}
        return str(roles.get("driver", ""))

    @property
    def executors(self) -> dict[str, str]:
        """The names of the executors' pods by the number of the executor."""
        labelled = {pod["metadata"]["labels"].get("spark-exec-id"): pod["metadata"]["name"] for pod in self.pods}
        return {str(number): name for number, name in labelled.items() if number is not None}

    @property
    def at_work_since(self) -> datetime | None:
        """Since when its driver runs and, where it asks for a number of executors and not for as many as it takes, one of
        them too; None where they do not. A driver's pod runs before Python has read a setting."""
        drivers, executors = (self._running_since(role) for role in ("driver", "executor"))
        if not drivers or not (executors or self._has_executors_as_needed):
            return None
        return max(min(drivers), min(executors, default=min(drivers)))

    def has_worked(self, seconds: float) -> bool:
        """Whether it has been at work for so long; for no time it is enough that the operator says RUNNING."""
        since = self.at_work_since
        return not seconds or (since is not None and (datetime.now(UTC) - since).total_seconds() >= seconds)

    def _running_since(self, role: str) -> list[datetime]:
        pods = [pod for pod in self.pods if pod["metadata"]["labels"].get("spark-role") == role]
        return [since for pod in pods if (since := running_since(pod))]

    @property
    def _has_executors_as_needed(self) -> bool:
        spec = self.application["spec"]
        by_conf = str(spec.get("sparkConf", {}).get("spark.dynamicAllocation.enabled", "")).lower() == "true"
        return by_conf or bool(spec.get("dynamicAllocation", {}).get("enabled"))

    @property
    def words(self) -> str:
        pods = ", ".join(f"{pod['metadata']['name']} {pod['status'].get('phase', '')}" for pod in self.pods[:3])
        return self.fault.words if self.fault else pods


def standing(cluster: Cluster, application: Manifest) -> Standing:
    """How an application of the cluster stands; its pods, their events and last lines are looked up."""
    pods = _pods(cluster, application["metadata"]["namespace"], _labels_of(application))
    events, last_lines = _events(cluster, application, pods), _last_lines(cluster, pods)
    fault = diagnosed(application, pods, events, now=datetime.now(UTC), last_lines=last_lines)
    return Standing(application, pods, fault, last_lines)


def server_standing(cluster: Cluster, document: Manifest) -> Server:
    """How a Deployment or a StatefulSet of the cluster stands."""
    pods = _pods(cluster, document["metadata"]["namespace"], document["spec"]["selector"].get("matchLabels", {}))
    events, last_lines = _events(cluster, document, pods), _last_lines(cluster, pods)
    return Server(document, pods, fault_of(document, pods, events, now=datetime.now(UTC), last_lines=last_lines))


def all_standing(cluster: Cluster, namespace: str) -> list[Standing]:
    return [standing(cluster, each) for kind in KINDS for each in cluster.objects(API_VERSION, kind, namespace)]


def all_servers(cluster: Cluster, namespace: str) -> list[Server]:
    found = [each for kind in SERVERS for each in cluster.objects(SERVERS_API_VERSION, kind, namespace)]
    return [server_standing(cluster, each) for each in found]


def wait_for_pods(cluster: Cluster, applications: Sequence[Manifest], *, seconds: float) -> None:
    """Wait until no pod of the applications, which are deleted, is left.

    Raises:
        Failed: one is left when the time is over.
    """

    def look() -> list[Standing]:
        found = [(each, _pods(cluster, each["metadata"]["namespace"], _labels_of(each))) for each in applications]
        return [Standing(each, pods, None) for each, pods in found if pods]

    wait(look, until=lambda _: False, seconds=seconds, doing="Waiting for the end of the batches in hand")


def _labels_of(application: Manifest) -> dict[str, str]:
    return {APP_LABEL: application["metadata"]["name"]}


def _pods(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
    return cluster.objects("v1", "Pod", namespace, labels=",".join(f"{key}={value}" for key, value in labels.items()))


def _events(cluster: Cluster, thing: Manifest, pods: Sequence[Manifest]) -> list[Manifest]:
    """The events of a thing and of its pods."""
    about = {each["metadata"]["name"] for each in (thing, *pods)}
    found = cluster.objects("v1", "Event", thing["metadata"]["namespace"])
    return [each for each in found if each.get("involvedObject", {}).get("name") in about]


def _last_lines(cluster: Cluster, pods: Sequence[Manifest]) -> dict[str, str]:
    return {pod["metadata"]["name"]: _last_line(cluster, pod) for pod in pods if _has_ended(pod)}


def _has_ended(pod: Manifest) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded") and "deletionTimestamp" not in pod["metadata"]


def _last_line(cluster: Cluster, pod: Manifest) -> str:
    """What a pod wrote last, or nothing where that is not to be had."""
    try:
        lines = list(cluster.lines(pod["metadata"]["name"], pod["metadata"]["namespace"], tail=5))
    except (Failed, Refused):
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
