"""Address, credentials and namespace of a cluster, from the kubeconfig or from the service account of a pod."""

import os
from pathlib import Path

from kubernetes import client, config

from wattcast.deploy.errors import Refused

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def load_configuration(configuration: client.Configuration, context: str) -> str:
    """Fill in address and credentials of a context, and return its namespace (empty if it has none).

    Without a context and without KUBECONFIG, a pod uses its service account.

    Raises:
        Refused: there is no such context, or no configuration at all.
    """
    try:
        if not context and not os.environ.get("KUBECONFIG") and (SERVICE_ACCOUNT / "token").exists():
            config.load_incluster_config(client_configuration=configuration)
            return (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
        config.load_kube_config(context=context or None, client_configuration=configuration)
        contexts, active = config.list_kube_config_contexts()
    except (config.ConfigException, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise Refused(f"No cluster is configured: {reason}.") from error
    chosen = next((entry for entry in contexts if entry["name"] == context), active)
    return str(chosen["context"].get("namespace", ""))
