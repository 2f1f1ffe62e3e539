"""The Spark applications of Wattcast: what differs from one to the other, declared once."""

from dataclasses import dataclass
from enum import StrEnum

KAFKA, MODEL = "kafka-creds", "model-creds"
STATE = "/var/lib/wattcast"  # in the pods; the state folder of a laptop

JVM_OVERHEAD_MIB = 384
PANDAS_MIB, TORCH_MIB = 512, 1024  # of one Python process


class Kind(StrEnum):
    """How an application lives: for ever, once, or by the clock."""

    STREAMING = "streaming"
    BATCH = "batch"
    SCHEDULED = "scheduled"


@dataclass(frozen=True)
class Size:
    """Of one pod: the cores that it may use, the heap of its JVM, and what its Python processes take beside the heap."""

    cores: int
    heap_mib: int
    python_mib: int = 0

    @property
    def overhead_mib(self) -> int:
        """What Spark calls the memory overhead: all that is not heap."""
        return max(JVM_OVERHEAD_MIB, self.heap_mib // 10) + self.python_mib


@dataclass(frozen=True)
class Application:
    """One file of jobs/. `executors` is how many there are, or the fewest and the most if Spark adds and removes them."""

    name: str
    kind: Kind
    driver: Size
    executor: Size
    executors: int | tuple[int, int] = 1
    secrets: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    schedule: str = ""
    gpu_on: str = ""  # "driver" or "executor": where a GPU would be used
    has_figures: bool = False  # whether its driver serves figures of its own to Prometheus

    @property
    def most_executors(self) -> int:
        return self.executors if isinstance(self.executors, int) else self.executors[1]


# A streaming query has work for a moment every few seconds: Spark would add executors too late and keep them too long. Only a
# backfill and the queries of people have enough at once to be worth dynamic allocation.
APPLICATIONS = (
    Application(
        "ingest", Kind.STREAMING, has_figures=True, secrets=(KAFKA,),
        driver=Size(1, heap_mib=1024, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536), executors=2,
    ),
    Application(
        "aggregate", Kind.STREAMING, has_figures=True,
        driver=Size(1, heap_mib=1280, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * PANDAS_MIB), executors=2,
    ),
    Application(
        "forecast", Kind.STREAMING, has_figures=True, secrets=(MODEL,), gpu_on="executor",
        driver=Size(1, heap_mib=1280, python_mib=TORCH_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * TORCH_MIB), executors=2,
    ),
    Application(
        "publish", Kind.STREAMING, has_figures=True, secrets=(KAFKA,),
        driver=Size(1, heap_mib=1024, python_mib=PANDAS_MIB),
        executor=Size(1, heap_mib=1024),
    ),
    Application(
        "score", Kind.STREAMING, has_figures=True,
        driver=Size(1, heap_mib=1280, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * PANDAS_MIB),
    ),
    Application(
        "sql-gateway", Kind.STREAMING,
        driver=Size(1, heap_mib=1536, python_mib=PANDAS_MIB),  # the results of all clients pass through it
        executor=Size(2, heap_mib=2048), executors=(1, 4),  # on loopback: there is no password, but `kubectl port-forward`
    ),
    Application(
        "pipeline", Kind.STREAMING, has_figures=True, secrets=(KAFKA, MODEL), gpu_on="executor",
        driver=Size(1, heap_mib=1536, python_mib=TORCH_MIB),
        executor=Size(2, heap_mib=1536, python_mib=2 * TORCH_MIB),
    ),
    Application(
        "monitor", Kind.STREAMING, has_figures=True, secrets=(KAFKA, MODEL),
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
        driver=Size(4, heap_mib=1024, python_mib=8 * TORCH_MIB),
        executor=Size(1, heap_mib=512),  # the operator asks for one; training never starts it
        arguments=("--out", f"{STATE}/trained", "--begin-anew", "--promote"),
    ),
    Application(
        "maintain", Kind.SCHEDULED, schedule="30 1 * * *",
        driver=Size(1, heap_mib=1024, python_mib=PANDAS_MIB),
        executor=Size(2, heap_mib=1536),
    ),
)  # fmt: skip


def application(name: str) -> Application:
    """The application of that name.

    Raises:
        KeyError: there is none.
    """
    return {each.name: each for each in APPLICATIONS}[name]
