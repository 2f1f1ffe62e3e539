"""The commands `backfill submit` and `submit`: single runs on a Kubernetes cluster."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from wattcast.cli.cluster_options import RUN_SECONDS, Context, Namespace, NoWait, RunSeconds
from wattcast.errors import FAILED


def submit_backfill(
    first: Annotated[str, typer.Option("--from", help="First forecast origin (ISO 8601, UTC, on the hour).")],
    end: Annotated[str, typer.Option("--to", help="End of the forecast origins, exclusive (ISO 8601, UTC).")],
    buildings: Annotated[str, typer.Option(help="Building ids, separated by commas. Default: all.")] = "",
    hindsight: Annotated[
        bool, typer.Option("--hindsight", help="Use what is known today instead of what was known at the origin.")
    ] = False,
    namespace: Namespace = "",
    context: Context = "",
    no_wait: NoWait = False,
    timeout: RunSeconds = RUN_SECONDS,
) -> None:
    """Run a backfill beside the deployed applications.

    Waits until it ends; exit 1 if it fails.
    """
    from wattcast.deploy.operations.single_runs import BackfillRequest, run_backfill

    request = BackfillRequest(
        first=first, end=end, buildings=buildings, hindsight=hindsight, namespace=namespace, context=context,
        waits=not no_wait, timeout_seconds=timeout,
    )  # fmt: skip
    sys.exit(0 if run_backfill(request, report=print) else FAILED)


def _scheduled_run(name: str, purpose: str) -> Callable[..., None]:
    """The command that runs a scheduled application now."""

    def submit(
        namespace: Namespace = "",
        context: Context = "",
        no_wait: NoWait = False,
        timeout: RunSeconds = RUN_SECONDS,
    ) -> None:
        from wattcast.deploy.operations.single_runs import ScheduledRunRequest, run_scheduled_now

        request = ScheduledRunRequest(name, namespace, context, not no_wait, timeout)
        sys.exit(0 if run_scheduled_now(request, report=print) else FAILED)

    submit.__doc__ = f"{purpose}\n\nWaits until it ends; exit 1 if it fails."
    return submit


submit_train = _scheduled_run("train", "Run the scheduled training now.")
submit_retrain = _scheduled_run("retrain", "Train now if an open alert calls for a new model.")
submit_maintain = _scheduled_run("maintain", "Run the scheduled maintenance of the tables now.")
