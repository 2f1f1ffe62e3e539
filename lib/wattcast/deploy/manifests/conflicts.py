"""Problems of documents in combination: applications that exclude each other, and trainings that would lose their models."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from wattcast.deploy.manifests.documents import Manifest, is_streaming, job_name, spark_applications, spark_spec

TRACKING_URI = "WATTCAST_MODEL__TRACKING_URI"
TRAININGS = ("train", "retrain")
PIPELINE_JOBS = {"ingest", "aggregate", "forecast", "publish", "score"}  # the jobs that `pipeline` runs


def conflicting_applications(documents: Sequence[Manifest]) -> Iterator[str]:
    """Applications with the same name or the same streaming job; each table can have one writer only."""
    applications = spark_applications(documents)
    counts = Counter(application["metadata"]["name"] for application in applications)
    yield from (f"{count} applications have the name {name}" for name, count in counts.items() if count > 1)
    names_by_job: dict[str, set[str]] = defaultdict(set)
    for application in applications:
        if is_streaming(application):
            names_by_job[job_name(application)].add(application["metadata"]["name"])
    for job, names in names_by_job.items():
        if len(names) > 1:
            yield f"{' and '.join(sorted(names))} run the same job, {job}: deploy only one of them"
    if "pipeline" in names_by_job and (shared := sorted(PIPELINE_JOBS & names_by_job.keys())):
        jobs = " and ".join(shared)
        yield f"pipeline already includes {jobs}: deploy either pipeline or {jobs}"


def trainings_without_model_store(documents: Sequence[Manifest]) -> Iterator[str]:
    """Trainings whose state folder is an emptyDir and that have no MLflow server: their models would be lost with the pod."""
    config_maps = {
        document["metadata"]["name"]: document.get("data", {})
        for document in documents
        if document["kind"] == "ConfigMap"
    }
    for application in spark_applications(documents):
        if job_name(application) not in TRAININGS:
            continue
        pod = spark_spec(application)["driver"]["template"]["spec"]
        (container,) = pod["containers"][:1]
        sources = {
            source["configMapRef"]["name"] for source in container.get("envFrom", []) if "configMapRef" in source
        }
        variables = {variable["name"] for variable in container.get("env", [])}
        variables.update(*(config_maps.get(source, {}) for source in sources))
        loses_state = any(volume["name"] == "state" and "emptyDir" in volume for volume in pod.get("volumes", []))
        if loses_state and config_maps.keys() >= sources and TRACKING_URI not in variables:
            yield (
                f"{application['metadata']['name']} would lose its models with its pod: set {TRACKING_URI} to an MLflow "
                "server, or remove the application from the deployment"
            )
