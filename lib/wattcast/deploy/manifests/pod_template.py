"""Pod templates of drivers and executors: container, environment, volumes and security context."""

from dataclasses import dataclass
from importlib.metadata import version

from wattcast.deploy.applications import KAFKA, STATE, Application, Kind
from wattcast.deploy.manifests.documents import Manifest

JOBS = "/opt/wattcast/jobs"  # in the image
CONF = "/etc/wattcast/conf"
KAFKA_CA = "/etc/wattcast/kafka-ca"  # ca.crt of the optional Secret kafka-ca: see `kafka.ssl_cafile`
SCRATCH = "/tmp"  # noqa: S108  # in a pod: an emptyDir volume that no other pod sees
USER = 185  # the user of Spark's images
STOP_SECONDS = 660  # a job may take 600 s to finish its current batch
METRICS_PORT = 9400

DRIVER, EXECUTOR = "spark-kubernetes-driver", "spark-kubernetes-executor"  # the container names that Spark expects
ACCOUNTS = {DRIVER: "wattcast-driver", EXECUTOR: "wattcast-executor"}
CONF_MAP, ENV_MAP, CLAIM = "wattcast-conf", "wattcast-env", "wattcast-state"
LAKE_SECRET, CA_SECRET = "lake-creds", "kafka-ca"

METRICS_ENV = [
    {"name": "WATTCAST_METRICS__HOST", "value": "0.0.0.0"},  # noqa: S104  # NetworkPolicies restrict the clients
    {"name": "WATTCAST_METRICS__PORT", "value": str(METRICS_PORT)},
]
PRIORITY = {
    Kind.STREAMING: "wattcast-streaming",
    Kind.BATCH: "wattcast-batch",
    Kind.SCHEDULED: "wattcast-batch",
}


@dataclass(frozen=True)
class Target:
    """What differs between clusters.

    With `claim=None` the lake is in an object store (WATTCAST_LAKE and WATTCAST_CHECKPOINTS), and the state folder is an
    emptyDir that is lost with the pod.
    """

    image: str = f"wattcast:{version('wattcast')}"
    claim: str | None = CLAIM
    gpus: int = 0


DEFAULT_TARGET = Target()


def main_file(app: Application) -> str:
    """The path of the application's file in the image."""
    return f"{JOBS}/{app.name.replace('-', '_')}.py"


def pod_template(app: Application, target: Target, role: str) -> Manifest:
    """A pod that meets the pod security level "restricted": a read-only root file system with writable volumes."""
    is_driver = role == DRIVER
    metadata: Manifest = {"labels": app.labels}
    if is_driver and app.serves_metrics:
        metadata["annotations"] = {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(METRICS_PORT),
            "prometheus.io/path": "/metrics",
        }
    spec = {
        "priorityClassName": PRIORITY[app.kind],
        "automountServiceAccountToken": is_driver,
        **({"terminationGracePeriodSeconds": STOP_SECONDS} if is_driver else {}),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": app.labels},
            }
        ],
        "containers": [container(app, target, role)],
        "volumes": _volumes(app, target),
    }
    return {"metadata": metadata, "spec": spec}


def container(app: Application, target: Target, role: str) -> Manifest:
    """The container that Spark completes: environment by reference, mounts, security context, and the driver's stop hook."""
    stop_hook = ["python3", "-m", "wattcast.deploy.stop", main_file(app)]
    has_gpu = target.gpus and role == {"driver": DRIVER, "executor": EXECUTOR}.get(app.gpu_on)
    return {
        "name": role,
        "envFrom": [
            {"configMapRef": {"name": ENV_MAP}},
            *({"secretRef": {"name": name}} for name in app.secrets),
            {"secretRef": {"name": LAKE_SECRET, "optional": True}},
        ],
        "env": _environment(app, target, role),
        **({"resources": {"limits": {"nvidia.com/gpu": str(target.gpus)}}} if has_gpu else {}),
        **({"lifecycle": {"preStop": {"exec": {"command": stop_hook}}}} if role == DRIVER else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "conf", "mountPath": CONF, "readOnly": True},
            {"name": "state", "mountPath": STATE},
            {"name": "tmp", "mountPath": SCRATCH},
            {"name": "work", "mountPath": "/opt/spark/work-dir"},
            *([{"name": CA_SECRET, "mountPath": KAFKA_CA, "readOnly": True}] if KAFKA in app.secrets else []),
        ],
    }


def _environment(app: Application, target: Target, role: str) -> list[dict[str, str]]:
    # The driver passes the device on to its executors.
    forecasts_on_gpu = target.gpus and role == DRIVER and app.gpu_on == "executor"
    return [
        {"name": "WATTCAST_CONF", "value": CONF},
        {"name": "WATTCAST_STATE", "value": STATE},
        {"name": "HOME", "value": SCRATCH},  # libraries keep caches there
        {"name": "OMP_NUM_THREADS", "value": "1"},
        {"name": "WATTCAST_LOG__FORMAT", "value": "json"},
        *(METRICS_ENV if role == DRIVER and app.serves_metrics else []),
        *([{"name": "WATTCAST_FORECASTING__DEVICE", "value": "cuda"}] if forecasts_on_gpu else []),
    ]


def _volumes(app: Application, target: Target) -> list[Manifest]:
    state = {"persistentVolumeClaim": {"claimName": target.claim}} if target.claim else {"emptyDir": {}}
    has_kafka = KAFKA in app.secrets
    return [
        {"name": "conf", "configMap": {"name": CONF_MAP}},
        {"name": "state", **state},
        {"name": "tmp", "emptyDir": {}},
        {"name": "work", "emptyDir": {}},
        *([{"name": CA_SECRET, "secret": {"secretName": CA_SECRET, "optional": True}}] if has_kafka else []),
    ]
