"""The Spark applications of Wattcast: kind, sizes, secrets and schedule of each, declared once."""

from dataclasses import dataclass
from enum import StrEnum

KAFKA, MODEL = "kafka-creds", "model-creds"
STATE = "/var/lib/wattcast"  # the state folder in pods

JVM_OVERHEAD_MIB = 384
PANDAS_MIB, TORCH_MIB = 512, 1024  # per Python process


class Kind(StrEnum):
    """Whether an application runs without end, once, or on a schedule."""

    STREAMING = "streaming"
    BATCH = "batch"
    SCHEDULED = "scheduled"


@dataclass(frozen=True)
class Size:
    """The size of a pod: its core limit, the heap of its JVM, and the memory of its Python processes beside the heap."""

    cores: int
    heap_mib: int
    python_mib: int = 0

    @property
    def overhead_mib(self) -> int:
        """Spark's memory overhead: all memory that is not heap."""
        return max(JVM_OVERHEAD_MIB, self.heap_mib // 10) + self.python_mib


@dataclass(frozen=True)
class Application:
    """One file of jobs/. `executors` is their number, or (minimum, maximum) with dynamic allocation."""

    name: str
    kind: Kind
    driver: Size
    executor: Size
    executors: int | tuple[int, int] = 1
    secrets: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    schedule: str = ""
    gpu_on: str = ""  # "driver" or "executor": the pod that uses a GPU
    serves_metrics: bool = False  # whether its driver serves Wattcast's own metrics to Prometheus
    retries: bool = True  # whether the operator runs it again after a failure

    @property
    def max_executors(self) -> int:
        return self.executors if isinstance(self.executors, int) else self.executors[1]

    @property
    def labels(self) -> dict[str, str]:
        return {"app.kubernetes.io/name": self.name, "app.kubernetes.io/part-of": "wattcast"}


# The training itself runs in the driver. The operator requires one executor, which a training never starts.
TRAINING_DRIVER, TRAINING_EXECUTOR = Size(4, heap_mib=1024, python_mib=8 * TORCH_MIB), Size(1, heap_mib=512)

# A streaming query has short bursts of work every few seconds: dynamic allocation would add executors too late and keep them
# too long. Only a backfill and interactive queries have enough work at once to benefit from it.
APPLICATIONS = (
    Application(
        "ingest", Kind.STREAMING, serves_metrics=True, secrets=(KAFKA,),
        driver=Size(1, heap_mib=1024, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536), executors=2,
    ),
    Application(
        "aggregate", Kind.STREAMING, serves_metrics=True,
        driver=Size(1, heap_mib=1280, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * PANDAS_MIB), executors=2,
    ),
    Application(
        "forecast", Kind.STREAMING, serves_metrics=True, secrets=(MODEL,), gpu_on="executor",
        driver=Size(1, heap_mib=1280, python_mib=TORCH_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * TORCH_MIB), executors=2,
    ),
    Application(
        "publish", Kind.STREAMING, serves_metrics=True, secrets=(KAFKA,),
        driver=Size(1, heap_mib=1024, python_mib=PANDAS_MIB),
        executor=Size(1, heap_mib=1024),
    ),
    Application(
        "score", Kind.STREAMING, serves_metrics=True,
        driver=Size(1, heap_mib=1280, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * PANDAS_MIB),
    ),
    Application(
        "sql-gateway", Kind.STREAMING,
        driver=Size(1, heap_mib=1536, python_mib=PANDAS_MIB),  # the results of all clients pass through the driver
        # It has no password and listens on loopback: clients connect through `kubectl port-forward`.
        executor=Size(2, heap_mib=2048), executors=(1, 4),
    ),
    Application(
        "pipeline", Kind.STREAMING, serves_metrics=True, secrets=(KAFKA, MODEL), gpu_on="executor",
        driver=Size(1, heap_mib=1536, python_mib=TORCH_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * TORCH_MIB),
    ),
    Application(
        "monitor", Kind.STREAMING, serves_metrics=True, secrets=(KAFKA, MODEL),
        driver=Size(1, heap_mib=1280, python_mib=2 * TORCH_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * PANDAS_MIB),
    ),
    Application(
        "backfill", Kind.BATCH, secrets=(MODEL,), gpu_on="executor",
        driver=Size(1, heap_mib=1536, python_mib=TORCH_MIB),
        executor=Size(2, heap_mib=2048, python_mib=2 * TORCH_MIB), executors=(1, 8),
        arguments=("--from", "2026-01-01", "--to", "2026-01-08"),
    ),
    Application(
        "train", Kind.SCHEDULED, secrets=(MODEL,), gpu_on="driver", schedule="0 3 * * 0",
        driver=TRAINING_DRIVER, executor=TRAINING_EXECUTOR,
        arguments=("--out", f"{STATE}/trained", "--begin-anew", "--promote"),
    ),
    # Ends at once while no alert calls for a model. It records each start and trains once in `monitoring.retrain_hours`: a retry
    # would not train but hide the failure. Its hours are not those of `train`.
    Application(
        "retrain", Kind.SCHEDULED, secrets=(MODEL,), schedule="41 */6 * * *", retries=False,
        driver=TRAINING_DRIVER, executor=TRAINING_EXECUTOR,
    ),
    Application(
        "maintain", Kind.SCHEDULED, schedule="30 1 * * *",
        driver=Size(1, heap_mib=1024, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536),
    ),
)  # fmt: skip


def application(name: str) -> Application:
    """The application of that name. Raises KeyError for an unknown name."""
    return {app.name: app for app in APPLICATIONS}[name]
