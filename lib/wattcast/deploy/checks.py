"""What is wrong with manifests, a sentence each; none where all is right. Nothing here asks a cluster."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wattcast.deploy.fields import Schemas, is_foreign, misfits, misfits_of
from wattcast.deploy.manifests import API_VERSION, Manifest
from wattcast.settings import secret_variables

NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # Spark makes a service of this name
MEMORY = re.compile(r"[1-9]\d*[kmgt]i?b?", re.IGNORECASE)
VARIABLE = re.compile(r"[A-Za-z_]\w*")  # of the environment; other keys of a ConfigMap are names of files
SECRET = re.compile(r"password|secret|token|credential|access.?key|api.?key", re.IGNORECASE)
# Names of what tells where a secret is, not what it is: classes, files, and Spark's references to Secrets.
NO_SECRET = re.compile(
    r".*[._](provider|file|path|dir|name|class|enabled)|spark\.kubernetes\.(driver|executor)\.(secrets|secretKeyRef)\..*",
    re.IGNORECASE,
)
IN_ADDRESS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
OWN_SECRETS = secret_variables()
REGISTRY = "WATTCAST_MODEL__TRACKING_URI"
PIPELINE = {"ingest", "aggregate", "forecast", "publish", "score"}  # what that application does, too

# Fields of a driver or executor that only the operator's webhook applies, and not to a pod that has a template.
WEBHOOK_ONLY = {
    "affinity", "configMaps", "dnsConfig", "env", "envFrom", "gpu", "hostAliases", "hostNetwork", "initContainers",
    "lifecycle", "memoryLimit", "podSecurityContext", "ports", "priorityClassName", "schedulerName", "securityContext",
    "shareProcessNamespace", "sidecars", "terminationGracePeriodSeconds", "tolerations", "volumeMounts",
}  # fmt: skip


def problems(documents: Sequence[Manifest], known: Schemas) -> list[str]:
    """What is wrong with documents that are deployed together: with each, or else with all as a whole."""
    said = [f"{_title(each)}: {what}." for each in documents for what in _wrong(each, known)]
    return said or [f"{what}." for what in (*rivals(documents), *perishing(documents))]


def _wrong(document: Manifest, known: Schemas) -> Iterator[str]:
    misfitting = list(misfits(document, known))
    yield from misfitting
    if misfitting or is_foreign(document, known):
        return  # the rules count on the types
    if document["apiVersion"] == API_VERSION:
        yield from _of_application(document)
    elif document["kind"] == "ConfigMap":
        yield from _inlined(
            {key: value for key, value in document.get("data", {}).items() if VARIABLE.fullmatch(key)}, "data"
        )
    else:
        yield from _of_pod(document.get("spec", {}).get("template", {}))


def _of_application(document: Manifest) -> Iterator[str]:
    name, spec = document["metadata"]["name"], spec_of(document)
    if not NAME.fullmatch(name):
        yield f"{name} is no name for a service: small letters, digits and hyphens, 63 at most, a letter first"
    restart = spec.get("restartPolicy", {})
    if restart.get("type") == "Always" and "schedule" in document["spec"]:
        yield "what is restarted always never ends, and its schedule never starts it again"
    if restart.get("type") in ("Always", "OnFailure"):
        for interval in ("onFailureRetryInterval", "onSubmissionFailureRetryInterval"):
            if interval not in restart:
                yield f"without restartPolicy.{interval} the operator never restarts it"
    yield from _inlined(spec.get("sparkConf", {}), "sparkConf")
    for role in ("driver", "executor"):
        yield from (f"{role}: {what}" for what in _of_role(spec[role]))


def _of_role(role: Manifest) -> Iterator[str]:
    for field in ("memory", "memoryOverhead"):
        if field in role and not MEMORY.fullmatch(role[field]):
            yield f"{field} {role[field]!r} is no amount with a unit, such as 1536m or 2g"
    yield from _inlined(role.get("envVars", {}), "envVars")
    if "template" not in role:
        yield "it has no pod template, and with it none of the rights that pod security takes away"
        return
    yield from (
        f"{field} beside a pod template is ignored; put it into the template"
        for field in sorted(WEBHOOK_ONLY & role.keys())
    )
    misfitting = list(misfits_of(role["template"], "V1PodTemplateSpec", "template"))
    yield from misfitting or _of_pod(role["template"])


def _of_pod(template: Manifest) -> Iterator[str]:
    """What the level "restricted" of pod security refuses, and secrets in the open."""
    pod = template.get("spec", {})
    containers = [*pod.get("initContainers", []), *pod.get("containers", [])]
    if not containers:
        return
    rights = pod.get("securityContext", {})
    if rights.get("runAsNonRoot") is not True:
        yield "the pod must set runAsNonRoot"
    if rights.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "the pod must have the seccompProfile RuntimeDefault"
    yield from (f"the pod must not have {field}" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    yield from (
        f"volume {each['name']} must not be a hostPath" for each in pod.get("volumes", []) if "hostPath" in each
    )
    for container in containers:
        yield from (f"container {container['name']} {what}" for what in _of_container(container))


def _of_container(container: Manifest) -> Iterator[str]:
    rights = container.get("securityContext", {})
    capabilities = rights.get("capabilities", {})
    if rights.get("privileged"):
        yield "must not be privileged"
    if rights.get("allowPrivilegeEscalation") is not False:
        yield "must forbid allowPrivilegeEscalation"
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "must drop ALL capabilities"
    yield from _inlined({each["name"]: each.get("value", "") for each in container.get("env", [])}, "env")


def _inlined(values: dict[str, Any], field: str) -> Iterator[str]:
    yield from (
        f"{field} {name} holds a secret in the open; refer to a Secret"
        for name, value in values.items()
        if value and _is_secret(name, str(value))
    )


def _is_secret(name: str, value: str) -> bool:
    sounds_so = SECRET.search(name) and not NO_SECRET.fullmatch(name)
    return bool(name in OWN_SECRETS or sounds_so or IN_ADDRESS.search(value))


def perishing(documents: Sequence[Manifest]) -> Iterator[str]:
    """Trainings whose models would go with their pod: with the state folder in it, and no MLflow server that would have them."""
    maps = {each["metadata"]["name"]: each.get("data", {}) for each in documents if each["kind"] == "ConfigMap"}
    for each in documents:
        if each["apiVersion"] != API_VERSION or job(each) != "train":
            continue
        pod = spec_of(each)["driver"]["template"]["spec"]
        (container,) = pod["containers"][:1]
        refers_to = [
            source["configMapRef"]["name"] for source in container.get("envFrom", []) if "configMapRef" in source
        ]
        names = {variable["name"] for variable in container.get("env", [])}.union(
            *(maps.get(name, {}) for name in refers_to)
        )
        is_in_pod = any(volume["name"] == "state" and "emptyDir" in volume for volume in pod.get("volumes", []))
        if is_in_pod and maps.keys() >= set(refers_to) and REGISTRY not in names:
            yield (
                f"{each['metadata']['name']} would lose what it trains with its pod: set {REGISTRY} to an MLflow server, "
                "or leave it out"
            )


def rivals(documents: Sequence[Manifest]) -> Iterator[str]:
    """Applications that would take each other's place or do the same work, of which each table can have but one."""
    applications = [each for each in documents if each["apiVersion"] == API_VERSION]
    counts = Counter(each["metadata"]["name"] for each in applications)
    yield from (f"{count} applications have the name {name}" for name, count in counts.items() if count > 1)
    running: dict[str, list[str]] = {}
    for each in applications:
        if is_streaming(each):
            running.setdefault(job(each), []).append(each["metadata"]["name"])
    yield from (
        f"{' and '.join(sorted(names))} run one and the same job, {name}: deploy one of them"
        for name, names in running.items() if len(set(names)) > 1
    )  # fmt: skip
    if "pipeline" in running and (both := sorted(PIPELINE & running.keys())):
        yield f"pipeline does what {' and '.join(both)} would do, too: deploy one or the other"


def job(application: Manifest) -> str:
    """The job that it runs, by the name of its file."""
    return Path(spec_of(application)["mainApplicationFile"]).stem


def is_streaming(application: Manifest) -> bool:
    """Whether it is meant to run for ever."""
    return bool(spec_of(application).get("restartPolicy", {}).get("type") == "Always")


def spec_of(document: Manifest) -> Manifest:
    """What is run, once or by a schedule."""
    spec: Manifest = document["spec"]
    return spec["template"] if "schedule" in spec else spec


def _title(document: Manifest) -> str:
    return f"{document.get('kind')} {document.get('metadata', {}).get('name', 'without a name')}"
