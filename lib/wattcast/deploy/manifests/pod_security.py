"""What the pod security level "restricted" of Kubernetes refuses in a pod."""

from collections.abc import Iterator

from wattcast.deploy.manifests.documents import Manifest
from wattcast.deploy.manifests.secret_values import inline_secrets


def pod_problems(template: Manifest) -> Iterator[str]:
    """Violations of the level "restricted", and secrets in clear text, in a pod or a pod template."""
    pod = template.get("spec", {})
    containers = [*pod.get("initContainers", []), *pod.get("containers", [])]
    if not containers:
        return
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True:
        yield "the pod must set runAsNonRoot"
    if security.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "the pod must have the seccompProfile RuntimeDefault"
    yield from (f"the pod must not have {field}" for field in ("hostNetwork", "hostPID", "hostIPC") if pod.get(field))
    for volume in pod.get("volumes", []):
        if "hostPath" in volume:
            yield f"volume {volume['name']} must not be a hostPath"
    for container in containers:
        yield from (f"container {container['name']} {problem}" for problem in _container_problems(container))


def _container_problems(container: Manifest) -> Iterator[str]:
    security = container.get("securityContext", {})
    capabilities = security.get("capabilities", {})
    if security.get("privileged"):
        yield "must not be privileged"
    if security.get("allowPrivilegeEscalation") is not False:
        yield "must forbid allowPrivilegeEscalation"
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "must drop ALL capabilities"
    variables = {variable["name"]: variable.get("value", "") for variable in container.get("env", [])}
    yield from inline_secrets(variables, "env")
