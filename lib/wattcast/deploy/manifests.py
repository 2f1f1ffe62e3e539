"""Applications as SparkApplication and ScheduledSparkApplication of the Spark operator.

Everything of a pod is in its template. Spark itself reads that, so that nothing depends on the operator's webhook, and it can
say what the operator's own fields cannot (topology spread).
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import yaml

from wattcast.deploy.applications import KAFKA, STATE, Application, Kind, Size
from wattcast.settings import spark_conf

Manifest = dict[str, Any]

API_VERSION = "sparkoperator.k8s.io/v1beta2"
SPARK_VERSION = "4.2.0"
JOBS = "/opt/wattcast/jobs"  # in the image
CONF = "/etc/wattcast/conf"
KAFKA_CA = "/etc/wattcast/kafka-ca"  # ca.crt of the Secret kafka-ca, if there is one: see `kafka.ssl_cafile`
SCRATCH = "/tmp"  # noqa: S108  # in a pod: a volume of its own, seen by nobody else
USER = 185  # that of Spark's images
STOP_SECONDS = 660  # a job may take 600 for the batch in hand
METRICS_PORT = 9400

DRIVER, EXECUTOR = (
    "spark-kubernetes-driver",
    "spark-kubernetes-executor",
)  # containers, by the names that Spark looks for
ACCOUNTS = {DRIVER: "wattcast-driver", EXECUTOR: "wattcast-executor"}
CONF_MAP, ENV_MAP, CLAIM = "wattcast-conf", "wattcast-env", "wattcast-state"
LAKE_SECRET, CA_SECRET = "lake-creds", "kafka-ca"

# Both intervals, always: without one the operator never retries.
RESTART = {
    Kind.STREAMING: {"type": "Always", "onFailureRetryInterval": 10, "onSubmissionFailureRetryInterval": 30},
    Kind.BATCH: {
        "type": "OnFailure", "onFailureRetries": 3, "onFailureRetryInterval": 30,
        "onSubmissionFailureRetries": 3, "onSubmissionFailureRetryInterval": 30,
    },
    Kind.SCHEDULED: {
        "type": "OnFailure", "onFailureRetries": 1, "onFailureRetryInterval": 60,
        "onSubmissionFailureRetries": 3, "onSubmissionFailureRetryInterval": 60,
    },
}  # fmt: skip
FIGURES = [
    {"name": "WATTCAST_METRICS__HOST", "value": "0.0.0.0"},  # noqa: S104  # NetworkPolicies say who may ask
    {"name": "WATTCAST_METRICS__PORT", "value": str(METRICS_PORT)},
]
PRIORITY = {
    Kind.STREAMING: "wattcast-streaming",
    Kind.BATCH: "wattcast-batch",
    Kind.SCHEDULED: "wattcast-batch",
}


@dataclass(frozen=True)
class Target:
    """What differs from one cluster to the other. With a `claim` of None the lake is in an object store, by WATTCAST_LAKE and
    WATTCAST_CHECKPOINTS, and the state folder of a pod goes with the pod."""

    image: str = f"wattcast:{version('wattcast')}"
    claim: str | None = CLAIM
    gpus: int = 0


def manifest(app: Application, target: Target = Target()) -> Manifest:
    """What the operator is to run."""
    metadata = {"name": app.name, "labels": labels(app)}
    if app.kind is not Kind.SCHEDULED:
        return {"apiVersion": API_VERSION, "kind": "SparkApplication", "metadata": metadata, "spec": spec(app, target)}
    scheduled = {
        "schedule": app.schedule,
        "timeZone": "UTC",
        "concurrencyPolicy": "Forbid",
        "successfulRunHistoryLimit": 3,
        "failedRunHistoryLimit": 3,
        "template": spec(app, target),
    }
    return {"apiVersion": API_VERSION, "kind": "ScheduledSparkApplication", "metadata": metadata, "spec": scheduled}


def labels(app: Application) -> dict[str, str]:
    return {"app.kubernetes.io/name": app.name, "app.kubernetes.io/part-of": "wattcast"}


def spec(app: Application, target: Target) -> Manifest:
    """The application itself, once or at each time of its schedule."""
    arguments = [*app.arguments, *(("--device", "cuda") if target.gpus and app.gpu_on == "driver" else ())]
    if isinstance(app.executors, int):
        executors: Manifest = {"instances": app.executors}
        allocation: Manifest = {}
    else:
        fewest, most = app.executors
        executors = {}
        allocation = {"enabled": True, "initialExecutors": fewest, "minExecutors": fewest, "maxExecutors": most}
    return {
        "type": "Python",
        "pythonVersion": "3",
        "mode": "cluster",
        "sparkVersion": SPARK_VERSION,
        "image": target.image,
        "imagePullPolicy": "IfNotPresent",
        "mainApplicationFile": f"local://{main_file(app)}",
        **({"arguments": arguments} if arguments else {}),
        "restartPolicy": RESTART[app.kind],
        "sparkConf": spark_settings(app),
        **({"dynamicAllocation": allocation} if allocation else {}),
        "driver": pod(app, target, DRIVER, app.driver),
        "executor": executors | pod(app, target, EXECUTOR, app.executor),
    }


def main_file(app: Application) -> str:
    return f"{JOBS}/{app.name.replace('-', '_')}.py"


def spark_settings(app: Application) -> dict[str, str]:
    """Those of every place (the image has the jars), few partitions as batches are small, metrics and logs for machines."""
    everywhere = {
        key: value for key, value in spark_conf("spark-defaults.conf").items() if key != "spark.jars.packages"
    }
    partitions = str(2 * app.executor.cores * app.most_executors)
    return everywhere | {
        "spark.sql.shuffle.partitions": partitions,
        "spark.databricks.delta.snapshotPartitions": partitions,
        "spark.metrics.namespace": app.name,
        "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
        "spark.ui.prometheus.enabled": "true",
        "spark.log.structuredLogging.enabled": "true",  # JSON lines, as Wattcast's own
    }


def pod(app: Application, target: Target, role: str, size: Size) -> Manifest:
    """A driver or an executor: its size for Spark, all else as a template. It asks for a quarter of the cores that it may use,
    since batches come in bursts."""
    return {
        "cores": size.cores,
        "coreRequest": f"{250 * size.cores}m",
        "coreLimit": str(size.cores),
        "memory": f"{size.heap_mib}m",
        "memoryOverhead": f"{size.overhead_mib}m",
        "serviceAccount": ACCOUNTS[role],
        "template": template(app, target, role),
    }


def template(app: Application, target: Target, role: str) -> Manifest:
    """The pod as the level "restricted" of pod security asks for, with a read-only root and folders to write to."""
    is_driver = role == DRIVER
    metadata: Manifest = {"labels": labels(app)}
    if is_driver and app.has_figures:
        metadata["annotations"] = {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(METRICS_PORT),
            "prometheus.io/path": "/metrics",
        }
    asks_kafka = KAFKA in app.secrets
    state = {"persistentVolumeClaim": {"claimName": target.claim}} if target.claim else {"emptyDir": {}}
    return {
        "metadata": metadata,
        "spec": {
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
                    "labelSelector": {"matchLabels": labels(app)},
                }
            ],
            "containers": [container(app, target, role)],
            "volumes": [
                {"name": "conf", "configMap": {"name": CONF_MAP}},
                {"name": "state", **state},
                {"name": "tmp", "emptyDir": {}},
                {"name": "work", "emptyDir": {}},
                *([{"name": CA_SECRET, "secret": {"secretName": CA_SECRET, "optional": True}}] if asks_kafka else []),
            ],
        },
    }


def container(app: Application, target: Target, role: str) -> Manifest:
    """The container that Spark fills in: environment by reference, folders, rights, and for a driver its graceful stop."""
    secrets = [{"secretRef": {"name": name}} for name in app.secrets]
    stop = ["python3", "-m", "wattcast.deploy.stop", main_file(app)]
    has_gpu = target.gpus and role == {"driver": DRIVER, "executor": EXECUTOR}.get(app.gpu_on)
    forecasts_on_gpu = (
        target.gpus and role == DRIVER and app.gpu_on == "executor"
    )  # the driver says it to the executors
    return {
        "name": role,
        "envFrom": [
            {"configMapRef": {"name": ENV_MAP}},
            *secrets,
            {"secretRef": {"name": LAKE_SECRET, "optional": True}},
        ],
        "env": [
            {"name": "WATTCAST_CONF", "value": CONF},
            {"name": "WATTCAST_STATE", "value": STATE},
            {"name": "HOME", "value": SCRATCH},  # libraries keep caches there
            {"name": "OMP_NUM_THREADS", "value": "1"},
            {"name": "WATTCAST_LOG__FORMAT", "value": "json"},
            *(FIGURES if role == DRIVER and app.has_figures else []),
            *([{"name": "WATTCAST_FORECASTING__DEVICE", "value": "cuda"}] if forecasts_on_gpu else []),
        ],
        **({"resources": {"limits": {"nvidia.com/gpu": str(target.gpus)}}} if has_gpu else {}),
        **({"lifecycle": {"preStop": {"exec": {"command": stop}}}} if role == DRIVER else {}),
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


def as_yaml(document: Manifest) -> str:
    """The text of a manifest, in the order in which it was made."""
    return yaml.dump(document, Dumper=_WithoutAliases, sort_keys=False, width=120)


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True
