"""What is done to applications that are deployed: stop, start, run one once, take all away."""

import secrets
import string
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from datetime import datetime

from wattcast.deploy.applications import application
from wattcast.deploy.checks import is_streaming, job
from wattcast.deploy.cluster import Cluster, Failed, Forbidden, Refused
from wattcast.deploy.manifests import API_VERSION, Manifest, Target, labels, manifest
from wattcast.deploy.undoing import KEPT, Say
from wattcast.deploy.waiting import wait
from wattcast.deploy.watching import KINDS, Standing, standing, wait_for_pods

PART_OF = "app.kubernetes.io/part-of=wattcast"
ENDED = ("COMPLETED", "FAILED")
KEPT_FOR_SECONDS = 7 * 24 * 3600  # what was run once stays so long, to be looked at
SUFFIX = string.ascii_lowercase + string.digits
OF_PLACE = ("volumes", "nodeSelector", "tolerations", "affinity", "imagePullSecrets")  # of a pod: where it runs
OF_CONTAINER = ("env", "volumeMounts", "resources")  # but for CPU and memory, which are no field of the template
OF_SIZE = ("spark.sql.shuffle.partitions", "spark.databricks.delta.snapshotPartitions", "spark.metrics.namespace")


def namespace(cluster: Cluster, given: str) -> str:
    """The namespace that is meant: the given one, or else that of the context, or the only one in which Wattcast is.

    Raises:
        Refused: it does not exist, or there are several.
    """
    if given:
        if _is_absent(cluster, given):
            raise Refused(f"The namespace {given} does not exist.")
        return given
    if cluster.own_namespace:
        return cluster.own_namespace
    found: list[str] = sorted(
        {each["metadata"]["namespace"] for kind in KINDS for each in cluster.objects(API_VERSION, kind)}
    )
    if len(found) != 1:
        raise Refused(
            f"Wattcast is in several namespaces: choose one of {', '.join(found)} by --namespace."
            if found else "There is no application in this cluster: `wattcast deploy` brings some."
        )  # fmt: skip
    return found[0]


def live(cluster: Cluster, space: str, name: str) -> Manifest:
    """The application of that name."""
    for kind in KINDS:
        if (found := cluster.get(API_VERSION, kind, name, space)) is not None:
            return found
    names = [each["metadata"]["name"] for kind in KINDS for each in cluster.objects(API_VERSION, kind, space)]
    there = f"it has {', '.join(sorted(names))}" if names else "it has none"
    raise Refused(f"The namespace {space} has no application {name}: {there}.")


def stop(cluster: Cluster, applications: Sequence[Manifest], *, seconds: float, say: Say) -> None:
    """Stop applications between two batches and wait until their pods are gone. A schedule starts nothing from then on.

    The operator deletes the driver of what is suspended with the time that its pod asks for; its hook ends the job.
    """
    running = []
    for each in applications:
        name, state = each["metadata"]["name"], each.get("status", {}).get("applicationState", {}).get("state", "")
        if state in ENDED:
            say(f"{name} does not run: it is {state}")
            continue
        cluster.merge(each, {"spec": {"suspend": True}})
        if "schedule" in each["spec"]:
            say(f"{name} is not started by its schedule any more")
        else:
            running.append(each)
    _wait(
        cluster, running, seconds=seconds, doing="Waiting for the end of the batches in hand",
        until=lambda each: not each.driver and each.state in ("SUSPENDED", *ENDED),
    )  # fmt: skip
    for each in running:
        say(f"{each['metadata']['name']} is stopped")


def is_at_rest(application: Manifest) -> bool:
    """Whether it has ended by itself or was stopped."""
    return (
        application["spec"].get("suspend")
        or application.get("status", {}).get("applicationState", {}).get("state") in ENDED
    )


def start(cluster: Cluster, application: Manifest, *, say: Say) -> None:
    """Let an application run again, one that has ended too."""
    state = application.get("status", {}).get("applicationState", {}).get("state", "")
    if state in ENDED:
        # As the operator does where a spec has changed: what was left is cleared away, and it is run anew.
        cluster.merge(application, {"status": {"applicationState": {"state": "INVALIDATING"}}}, "status")
    elif not application["spec"].get("suspend"):
        say(f"{application['metadata']['name']} is not stopped")
        return
    cluster.merge(application, {"spec": {"suspend": False}})


def backfill(cluster: Cluster, space: str, arguments: Sequence[str], name: str) -> Manifest:
    """A backfill as it would run beside the applications that are deployed."""
    made = _once("backfill", space, name, beside(_deployed(cluster, space)["spec"]))
    return {**made, "spec": made["spec"] | {"arguments": list(arguments)}}


def beside(deployed: Manifest) -> Manifest:
    """The spec of a backfill in the place of an application with that spec: with its image, accounts, volumes, environment and
    options of Spark, but of the size and with the Secrets of a backfill."""
    spec: Manifest = manifest(application("backfill"), Target())["spec"]
    spec |= {
        key: deployed[key] for key in ("image", "imagePullPolicy", "imagePullSecrets", "hadoopConf") if key in deployed
    }
    spec["sparkConf"] |= {key: value for key, value in deployed.get("sparkConf", {}).items() if key not in OF_SIZE}
    for role in ("driver", "executor"):
        spec[role] |= {key: deployed[role][key] for key in ("serviceAccount",) if key in deployed[role]}
        _adopt(spec[role]["template"]["spec"], deployed[role]["template"]["spec"])
    return spec


def scheduled_now(cluster: Cluster, space: str, app: str, name: str) -> Manifest:
    """What a schedule starts, to be run now."""
    scheduled = live(cluster, space, app)
    return _once(app, space, name, deepcopy(scheduled["spec"]["template"]))


def newest_run(cluster: Cluster, application: Manifest) -> Manifest:
    """The application that a schedule has started last; any other one itself."""
    if "schedule" not in application["spec"]:
        return application
    name, space = application["metadata"]["name"], application["metadata"]["namespace"]
    started = application.get("status", {}).get("lastRunName")
    if not started:
        raise Refused(f"{name} was not started yet by its schedule, {application['spec']['schedule']}.")
    if (found := cluster.get(API_VERSION, "SparkApplication", started, space)) is None:
        raise Refused(f"{started}, the last run of {name}, is not there any more.")
    return found


def run_once(cluster: Cluster, document: Manifest, *, seconds: float) -> Standing:
    """Wait until an application has ended, and return how."""
    (ended,) = _wait(
        cluster, [document], until=lambda each: each.state in ENDED, seconds=seconds,
        doing=f"Waiting for the end of {document['metadata']['name']}",
    )  # fmt: skip
    return ended


def name_of(*parts: str) -> str:
    """A name that nothing else has."""
    return "-".join([*parts, "".join(secrets.choice(SUFFIX) for _ in range(4))])


def day(moment: datetime) -> str:
    return f"{moment:%Y%m%d}" + (f"t{moment:%H}" if moment.hour else "")


def undeploy(cluster: Cluster, documents: Sequence[Manifest], *, seconds: float, say: Say) -> list[str]:
    """Take away what was deployed, and what was run beside it, but for data; returns what is left.

    Applications go first and end between two batches: until then they need their rights and their network.
    """
    spaces = sorted({each["metadata"].get("namespace", "") for each in documents} - {""})
    running = [
        each
        for space in spaces
        for kind in reversed(KINDS)
        for each in cluster.objects(API_VERSION, kind, space, PART_OF)
    ]
    for each in running:
        if cluster.delete(each):
            say(f"{each['kind']} {each['metadata']['name']} deleted")
    wait_for_pods(cluster, running, seconds=seconds)
    left = []
    for each in reversed(documents):
        title = f"{each['kind']} {each['metadata']['name']}"
        if each["kind"] in KEPT or (each["kind"] == "PriorityClass" and _is_elsewhere(cluster, spaces)):
            left.append(title)
        elif each["apiVersion"] != API_VERSION and cluster.delete(each):
            say(f"{title} deleted")
    for space in spaces:
        claims = cluster.objects("v1", "PersistentVolumeClaim", space)
        left += [f"PersistentVolumeClaim {each['metadata']['name']}" for each in claims]
    return sorted(set(left))


def _wait(
    cluster: Cluster, applications: Iterable[Manifest], *, until: Callable[[Standing], bool], seconds: float, doing: str
) -> list[Standing]:
    def look() -> list[Standing]:
        found = [(each, cluster.live(each)) for each in applications]
        if gone := [each["metadata"]["name"] for each, now in found if now is None]:
            raise Failed(f"{gone[0]} was deleted meanwhile.")
        return [standing(cluster, now) for _, now in found if now is not None]

    return wait(look, until=until, seconds=seconds, doing=doing)


def _once(app: str, space: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": space, "labels": labels(application(app))}
    spec = {**spec, "timeToLiveSeconds": KEPT_FOR_SECONDS}
    return {"apiVersion": API_VERSION, "kind": "SparkApplication", "metadata": metadata, "spec": spec}


def _deployed(cluster: Cluster, space: str) -> Manifest:
    """An application that is deployed, best one that forecasts."""
    found = [each for each in cluster.objects(API_VERSION, "SparkApplication", space, PART_OF) if is_streaming(each)]
    if not found:
        raise Refused(f"The namespace {space} has no application to take the image and the volumes from: deploy first.")
    return max(found, key=lambda each: job(each) in ("forecast", "pipeline"))


def _adopt(pod: Manifest, deployed: Manifest) -> None:
    """Let a pod run where another does: its volumes and nodes, and the environment of its container."""
    pod |= {key: deployed[key] for key in OF_PLACE if key in deployed}
    mine, theirs = pod["containers"][0], deployed["containers"][0]
    mine |= {key: theirs[key] for key in OF_CONTAINER if key in theirs}
    also = [each for each in mine["envFrom"] if each not in theirs.get("envFrom", [])]
    mine["envFrom"] = [*also, *theirs.get("envFrom", [])]  # of two that say the same the last counts


def _is_absent(cluster: Cluster, space: str) -> bool:
    """Whether there is no such namespace; where one may not look there may be."""
    try:
        return cluster.get("v1", "Namespace", space) is None
    except Forbidden:
        return False


def _is_elsewhere(cluster: Cluster, spaces: Sequence[str]) -> bool:
    """Whether Wattcast is in other namespaces too, as far as one may look."""
    try:
        found = [each for kind in KINDS for each in cluster.objects(API_VERSION, kind, labels=PART_OF)]
    except Forbidden:
        return True
    return any(each["metadata"]["namespace"] not in spaces for each in found)
