"""The log of a deployed application."""

from collections.abc import Iterator
from dataclasses import dataclass

from wattcast.deploy.cluster.client import Cluster
from wattcast.deploy.cluster.status import application_status
from wattcast.deploy.errors import Refused
from wattcast.deploy.operations.namespaces import find_application, resolve_namespace
from wattcast.deploy.operations.single_runs import newest_run


@dataclass(frozen=True)
class LogRequest:
    """The driver's log of an application, or that of one executor."""

    application: str
    executor: int | None
    follow: bool
    previous: bool
    namespace: str
    context: str


def application_log(request: LogRequest) -> Iterator[str]:
    """The lines of the log; of a scheduled application, those of its last run."""
    cluster = Cluster(request.context)
    namespace = resolve_namespace(cluster, request.namespace)
    live = newest_run(cluster, find_application(cluster, namespace, request.application))
    status = application_status(cluster, live)
    if request.executor is None:
        pod, wanted = status.driver, "driver"
    else:
        pod, wanted = status.executors.get(str(request.executor), ""), f"executor {request.executor}"
    if not pod:
        has_others = request.executor is not None and status.executors
        running = f"; its executors are {', '.join(status.executors)}" if has_others else ""
        raise Refused(f"{request.application} has no {wanted}: its state is {status.state or 'new'}{running}.")
    yield from cluster.log_lines(pod, namespace, follow=request.follow, previous=request.previous)
