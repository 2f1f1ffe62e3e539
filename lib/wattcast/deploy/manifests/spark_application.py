"""SparkApplication and ScheduledSparkApplication manifests, built from the declarations in `deploy/applications.py`.

Each pod is described completely by its pod template. Spark itself reads the template, so nothing depends on the operator's
webhook, and the template can express what the operator's own fields cannot, such as topology spread.
"""

from wattcast.deploy.applications import Application, Kind, Size
from wattcast.deploy.manifests.documents import API_VERSION, Manifest
from wattcast.deploy.manifests.pod_template import (
    ACCOUNTS,
    DEFAULT_TARGET,
    DRIVER,
    EXECUTOR,
    Target,
    main_file,
    pod_template,
)
from wattcast.settings import spark_conf

SPARK_VERSION = "4.2.0"

# Both intervals must be set: the operator does not retry when one is missing.
RESTART_POLICY = {
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
NO_RESTART = {"type": "Never"}


def manifest(app: Application, target: Target = DEFAULT_TARGET) -> Manifest:
    """The document that the Spark operator runs."""
    metadata = {"name": app.name, "labels": app.labels}
    if app.kind is not Kind.SCHEDULED:
        return {"apiVersion": API_VERSION, "kind": "SparkApplication", "metadata": metadata, "spec": _spec(app, target)}
    scheduled = {
        "schedule": app.schedule,
        "timeZone": "UTC",
        "concurrencyPolicy": "Forbid",
        "successfulRunHistoryLimit": 3,
        "failedRunHistoryLimit": 3,
        "template": _spec(app, target),
    }
    return {"apiVersion": API_VERSION, "kind": "ScheduledSparkApplication", "metadata": metadata, "spec": scheduled}


def _spec(app: Application, target: Target) -> Manifest:
    """The spec of one run."""
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
        "restartPolicy": RESTART_POLICY[app.kind] if app.retries else NO_RESTART,
        "sparkConf": _spark_settings(app),
        **({"dynamicAllocation": allocation} if allocation else {}),
        "driver": _pod(app, target, DRIVER, app.driver),
        "executor": executors | _pod(app, target, EXECUTOR, app.executor),
    }


def _spark_settings(app: Application) -> dict[str, str]:
    """spark-defaults.conf without its jars (the image contains them), few shuffle partitions because batches are small, and
    metrics and logs in formats for machines."""
    defaults = {key: value for key, value in spark_conf("spark-defaults.conf").items() if key != "spark.jars.packages"}
    partitions = str(2 * app.executor.cores * app.max_executors)
    return defaults | {
        "spark.sql.shuffle.partitions": partitions,
        "spark.databricks.delta.snapshotPartitions": partitions,
        "spark.metrics.namespace": app.name,
        "spark.metrics.conf.*.sink.prometheusServlet.class": "org.apache.spark.metrics.sink.PrometheusServlet",
        "spark.metrics.conf.*.sink.prometheusServlet.path": "/metrics/prometheus",
        "spark.ui.prometheus.enabled": "true",
        "spark.log.structuredLogging.enabled": "true",  # JSON lines, like Wattcast's own logs
    }


def _pod(app: Application, target: Target, role: str, size: Size) -> Manifest:
    """A driver or an executor: its size for Spark, everything else as a pod template.

    It requests a quarter of the cores that it may use, because the load of batches comes in bursts.
    """
    return {
        "cores": size.cores,
        "coreRequest": f"{250 * size.cores}m",
        "coreLimit": str(size.cores),
        "memory": f"{size.heap_mib}m",
        "memoryOverhead": f"{size.overhead_mib}m",
        "serviceAccount": ACCOUNTS[role],
        "template": pod_template(app, target, role),
    }
