"""The status of a Spark application: its document, its pods, and what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from wattcast.deploy.cluster.application_faults import application_state
from wattcast.deploy.cluster.pod_faults import Fault, parse_time, running_since
from wattcast.deploy.manifests.documents import Manifest, is_streaming

UNIT_SECONDS = {"d": 24 * 3600, "h": 3600, "min": 60, "s": 1}


@dataclass(frozen=True)
class ApplicationStatus:
    """A SparkApplication or ScheduledSparkApplication as it was observed."""

    application: Manifest
    pods: Sequence[Manifest]
    fault: Fault | None
    last_lines: Mapping[str, str] = field(default_factory=dict)  # the last log line of pods that have ended

    @property
    def name(self) -> str:
        return str(self.application["metadata"]["name"])

    @property
    def state(self) -> str:
        return application_state(self.application)

    @property
    def kind(self) -> str:
        """streaming, batch or scheduled."""
        if "schedule" in self.application["spec"]:
            return "scheduled"
        return "streaming" if is_streaming(self.application) else "batch"

    @property
    def submission(self) -> str:
        """The id of the newest submission; it changes each time the operator starts the application."""
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
        """When it was submitted last, by the operator or by its schedule."""
        status = self.application.get("status", {})
        text = status.get("lastSubmissionAttemptTime") or status.get("lastRun")
        return parse_time(text) if text else None

    @property
    def age(self) -> str:
        """The time since the last submission, in its largest unit."""
        if self.since is None:
            return ""
        seconds = (datetime.now(UTC) - self.since).total_seconds()
        unit, count = next(
            (unit, seconds // size) for unit, size in UNIT_SECONDS.items() if seconds >= size or size == 1
        )
        return f"{count:.0f} {unit}"

    @property
    def driver_phase(self) -> str:
        return next((pod["status"].get("phase", "") for pod in self.pods if pod["metadata"]["name"] == self.driver), "")

    @property
    def driver(self) -> str:
        """The name of the driver's pod; empty if there is none."""
        roles = {pod["metadata"]["labels"].get("spark-role"): pod["metadata"]["name"] for pod in self.pods}
        return str(roles.get("driver", ""))

    @property
    def executors(self) -> dict[str, str]:
        """The names of the executors' pods by executor number."""
        names = {pod["metadata"]["labels"].get("spark-exec-id"): pod["metadata"]["name"] for pod in self.pods}
        return {str(number): name for number, name in names.items() if number is not None}

    @property
    def working_since(self) -> datetime | None:
        """Since when the driver and at least one executor run; with dynamic allocation, the driver alone. None if they do not.

        The driver's pod alone proves little: it runs before Python has read a setting.
        """
        drivers, executors = (self._running_since(role) for role in ("driver", "executor"))
        if not drivers or not (executors or self._has_dynamic_allocation):
            return None
        return max(min(drivers), min(executors, default=min(drivers)))

    def has_worked(self, seconds: float) -> bool:
        """Whether it has worked for so long; for 0 seconds, the state RUNNING of the operator is enough."""
        since = self.working_since
        return not seconds or (since is not None and (datetime.now(UTC) - since).total_seconds() >= seconds)

    @property
    def detail(self) -> str:
        """What is wrong, or else the phases of its pods."""
        pods = ", ".join(f"{pod['metadata']['name']} {pod['status'].get('phase', '')}" for pod in self.pods[:3])
        return self.fault.message if self.fault else pods

    def _running_since(self, role: str) -> list[datetime]:
        pods = [pod for pod in self.pods if pod["metadata"]["labels"].get("spark-role") == role]
        return [since for pod in pods if (since := running_since(pod))]

    @property
    def _has_dynamic_allocation(self) -> bool:
        spec = self.application["spec"]
        spark_option = str(spec.get("sparkConf", {}).get("spark.dynamicAllocation.enabled", "")).lower() == "true"
        return spark_option or bool(spec.get("dynamicAllocation", {}).get("enabled"))
