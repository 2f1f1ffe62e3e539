"""How applications stand, and waiting until they stand as they should, with what is going on shown meanwhile."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table

from wattcast.deploy.checks import is_streaming
from wattcast.deploy.cluster import Cluster, Failed, Refused
from wattcast.deploy.diagnosis import Fault, diagnosed, moment, state
from wattcast.deploy.manifests import API_VERSION, Manifest

EVERY_SECONDS = 1.0
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
    def words(self) -> str:
        pods = ", ".join(f"{pod['metadata']['name']} {pod['status'].get('phase', '')}" for pod in self.pods[:3])
        return self.fault.words if self.fault else pods


def standing(cluster: Cluster, application: Manifest) -> Standing:
    """How an application of the cluster stands; its pods, their events and last lines are looked up."""
    name, namespace = application["metadata"]["name"], application["metadata"]["namespace"]
    pods = cluster.objects("v1", "Pod", namespace, labels=f"{APP_LABEL}={name}")
    about = {name, *(pod["metadata"]["name"] for pod in pods)}
    events = [
        each
        for each in cluster.objects("v1", "Event", namespace)
        if each.get("involvedObject", {}).get("name") in about
    ]
    last_lines = {pod["metadata"]["name"]: _last_line(cluster, pod) for pod in pods if _has_ended(pod)}
    fault = diagnosed(application, pods, events, now=datetime.now(UTC), last_lines=last_lines)
    return Standing(application, pods, fault, last_lines)


def all_standing(cluster: Cluster, namespace: str) -> list[Standing]:
    return [standing(cluster, each) for kind in KINDS for each in cluster.objects(API_VERSION, kind, namespace)]


def wait(
    look: Callable[[], Sequence[Standing]], *, until: Callable[[Standing], bool], seconds: float, doing: str,
    given_up: Callable[[Standing], bool] = lambda _: False,
) -> list[Standing]:  # fmt: skip
    """Look until each stands so, showing how they stand meanwhile.

    Raises:
        Failed: one is given up, or the time is over; the message says of each that does not stand so what is wrong.
    """
    console = Console(stderr=True)
    end, shown = time.monotonic() + seconds, dict[str, str]()
    with Live(console=console, transient=True) if console.is_terminal else nullcontext() as live:
        while True:
            found = list(look())
            if live is not None:
                live.update(_table(found, doing))
            else:
                shown = _print_news(console, found, shown)
            missing = [each for each in found if not until(each)]
            if not missing:
                return found
            if lost := [each for each in missing if given_up(each)]:
                raise Failed(_why(lost))
            if time.monotonic() > end:
                raise Failed(f"{_why(missing)} (given up after {seconds:.0f} s)")
            time.sleep(EVERY_SECONDS)


def _why(found: Sequence[Standing]) -> str:
    return "; ".join(f"{each.name}: {each.words or each.state or 'no state yet'}" for each in found)


def _table(found: Sequence[Standing], doing: str) -> Table:
    table = Table("application", "state", "", title=doing, show_edge=False, title_justify="left")
    for each in found:
        table.add_row(each.name, each.state or "new", each.words)
    return table


def _print_news(console: Console, found: Sequence[Standing], shown: Mapping[str, str]) -> dict[str, str]:
    """For a log: a line for each that stands otherwise than before."""
    lines = {each.name: f"{each.name}: {each.state or 'new'} {each.words}".rstrip() for each in found}
    for name, line in lines.items():
        if shown.get(name) != line:
            console.print(line, soft_wrap=True, highlight=False, markup=False)
    return lines


def _has_ended(pod: Manifest) -> bool:
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded") and "deletionTimestamp" not in pod["metadata"]


def _last_line(cluster: Cluster, pod: Manifest) -> str:
    """What a pod wrote last, or nothing where that is not to be had."""
    try:
        lines = list(cluster.lines(pod["metadata"]["name"], pod["metadata"]["namespace"], tail=5))
    except (Failed, Refused):
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
