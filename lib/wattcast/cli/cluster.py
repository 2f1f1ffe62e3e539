"""The commands `deploy`, `undeploy`, `logs`, `stop` and `start`, for a Kubernetes cluster."""

import sys
from typing import Annotated

import typer

from wattcast.cli.cluster_options import (
    DEPLOY_SECONDS,
    SETTLE_SECONDS,
    STOP_SECONDS,
    Context,
    Manifests,
    Namespace,
    NoWait,
    Overlay,
    Settle,
    StartSeconds,
    StopSeconds,
)
from wattcast.errors import FAILED


def deploy(
    overlay: Overlay = "dev",
    manifests: Manifests = "",
    image: Annotated[str, typer.Option(help="Image of all applications. Default: that of the overlay.")] = "",
    context: Context = "",
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what would change without changing it; exit 1 if anything would.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Take over fields that another field manager has set.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not roll back when an application does not run.")] = False,
    no_wait: NoWait = False,
    timeout: StartSeconds = DEPLOY_SECONDS,
    settle: Settle = SETTLE_SECONDS,
) -> None:
    """Deploy on Kubernetes and wait until everything runs.

    Checks and dry-runs the manifests before applying them. If an application does not run, or on Ctrl-C, the deployment is
    rolled back.
    """
    from wattcast.deploy.operations import deployment

    request = deployment.DeployRequest(
        overlay=overlay, manifests=manifests, image=image, context=context, force=force, rolls_back=not keep,
        waits=not no_wait, timeout_seconds=timeout, settle_seconds=settle,
    )  # fmt: skip
    if not diff:
        deployment.deploy(request, report=print, report_rollback=_print_error)
        return
    text = deployment.deployment_diff(request)
    print(text, end="\n" if text else "")
    sys.exit(FAILED if text else 0)


def undeploy(
    overlay: Overlay = "dev",
    manifests: Manifests = "",
    context: Context = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    timeout: StopSeconds = STOP_SECONDS,
) -> None:
    """Remove a deployment but keep its data.

    Claims, Secrets and the namespace stay.
    """
    from wattcast.deploy.operations.deployment import Undeployment

    undeployment = Undeployment.of(overlay, manifests, context)
    namespaces = ", ".join(undeployment.namespaces)
    if not yes and not typer.confirm(f"Remove the applications of {namespaces} and everything else except their data?"):
        raise typer.Exit(FAILED)
    retained = undeployment.run(seconds=timeout, report=print)
    print(f"Kept, because it may contain data or be used by others: {', '.join(retained)}.")


def logs(
    application: Annotated[str, typer.Argument(metavar="APP", help="Name of the application.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Continue with new lines as they are written.")
    ] = False,
    executor: Annotated[int | None, typer.Option(help="Number of an executor. Default: the log of the driver.")] = None,
    previous: Annotated[
        bool, typer.Option("--previous", help="Show the log of the container before a restart.")
    ] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Show the log of an application on Kubernetes.

    Of a scheduled application, the log of its last run.
    """
    from wattcast.deploy.operations.application_logs import LogRequest, application_log

    for line in application_log(LogRequest(application, executor, follow, previous, namespace, context)):
        print(line, flush=follow)


def stop(
    applications: Annotated[list[str] | None, typer.Argument(metavar="APP...", help="Names of applications.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Stop all applications of the namespace.")] = False,
    namespace: Namespace = "",
    context: Context = "",
    timeout: StopSeconds = STOP_SECONDS,
) -> None:
    """Stop applications on Kubernetes between two batches.

    They stay stopped, also through deployments, until `wattcast start`.
    """
    from wattcast.deploy.operations import lifecycle

    lifecycle.stop(lifecycle.StopRequest(applications or (), every, namespace, context, timeout), report=print)


def start(
    applications: Annotated[list[str], typer.Argument(metavar="APP...", help="Names of applications.")],
    namespace: Namespace = "",
    context: Context = "",
    no_wait: NoWait = False,
    timeout: StartSeconds = DEPLOY_SECONDS,
    settle: Settle = SETTLE_SECONDS,
) -> None:
    """Start stopped or ended applications on Kubernetes."""
    from wattcast.deploy.operations import lifecycle

    lifecycle.start(
        lifecycle.StartRequest(applications, namespace, context, not no_wait, timeout, settle), report=print
    )


def _print_error(line: str) -> None:
    print(line, file=sys.stderr)
