"""Problems of manifests, one sentence each: schema errors, rules of the Spark operator, pod security, secrets in clear text."""

import re
from collections.abc import Iterator, Sequence

from wattcast.deploy.manifests.conflicts import conflicting_applications, trainings_without_model_store
from wattcast.deploy.manifests.documents import API_VERSION, Manifest, spark_spec
from wattcast.deploy.manifests.pod_security import pod_problems
from wattcast.deploy.manifests.schemas import Schemas, has_unknown_group, kubernetes_type_errors, schema_errors
from wattcast.deploy.manifests.secret_values import inline_secrets

NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # Spark creates a Service of this name
MEMORY = re.compile(r"[1-9]\d*[kmgt]i?b?", re.IGNORECASE)
VARIABLE = re.compile(
    r"[A-Za-z_]\w*"
)  # keys of a ConfigMap that become environment variables; other keys are file names

# Fields of a driver or executor that only the operator's webhook applies, and not to a pod that has a template.
WEBHOOK_ONLY = {
    "affinity", "configMaps", "dnsConfig", "env", "envFrom", "gpu", "hostAliases", "hostNetwork", "initContainers",
    "lifecycle", "memoryLimit", "podSecurityContext", "ports", "priorityClassName", "schedulerName", "securityContext",
    "shareProcessNamespace", "sidecars", "terminationGracePeriodSeconds", "tolerations", "volumeMounts",
}  # fmt: skip


def problems(documents: Sequence[Manifest], schemas: Schemas) -> list[str]:
    """The problems of documents that are deployed together: of each document, or else of their combination."""
    if sentences := [f"{_title(document)}: {text}." for document in documents for text in _problems(document, schemas)]:
        return sentences  # the rules for combinations rely on documents that are correct
    return [f"{text}." for text in (*conflicting_applications(documents), *trainings_without_model_store(documents))]


def _problems(document: Manifest, schemas: Schemas) -> Iterator[str]:
    errors = list(schema_errors(document, schemas))
    yield from errors
    if errors or has_unknown_group(document, schemas):
        return  # the rules below rely on the types of the fields
    if document["apiVersion"] == API_VERSION:
        yield from _application_problems(document)
    elif document["kind"] == "ConfigMap":
        variables = {name: value for name, value in document.get("data", {}).items() if VARIABLE.fullmatch(name)}
        yield from inline_secrets(variables, "data")
    else:
        yield from pod_problems(document.get("spec", {}).get("template", {}))


def _application_problems(document: Manifest) -> Iterator[str]:
    name, spec = document["metadata"]["name"], spark_spec(document)
    if not NAME.fullmatch(name):
        yield (
            f"the name {name} is not valid: use at most 63 lower-case letters, digits and hyphens, starting with a letter"
        )
    restart = spec.get("restartPolicy", {})
    if restart.get("type") == "Always" and "schedule" in document["spec"]:
        yield "a scheduled application must not have the restart policy Always: it would never end"
    if restart.get("type") in ("Always", "OnFailure"):
        for interval in ("onFailureRetryInterval", "onSubmissionFailureRetryInterval"):
            if interval not in restart:
                yield f"restartPolicy.{interval} is missing: without it the operator never restarts the application"
    yield from inline_secrets(spec.get("sparkConf", {}), "sparkConf")
    for role in ("driver", "executor"):
        yield from (f"{role}: {problem}" for problem in _role_problems(spec[role]))


def _role_problems(role: Manifest) -> Iterator[str]:
    for field in ("memory", "memoryOverhead"):
        if field in role and not MEMORY.fullmatch(role[field]):
            yield f"{field} {role[field]!r} is not an amount with a unit, such as 1536m or 2g"
    yield from inline_secrets(role.get("envVars", {}), "envVars")
    if "template" not in role:
        yield 'the pod template is missing: without it the pod does not meet the pod security level "restricted"'
        return
    yield from (
        f"{field} is ignored beside a pod template: move it into the template"
        for field in sorted(WEBHOOK_ONLY & role.keys())
    )
    errors = list(kubernetes_type_errors(role["template"], "V1PodTemplateSpec", "template"))
    yield from errors or pod_problems(role["template"])


def _title(document: Manifest) -> str:
    return f"{document.get('kind')} {document.get('metadata', {}).get('name', 'without a name')}"
