"""The commands of `wattcast` that talk to a Kubernetes cluster. Each imports what it needs, so that help comes at once."""

import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattcast.errors import FAILED

if TYPE_CHECKING:
    from wattcast.deploy.servers import Server
    from wattcast.deploy.watching import Standing

STOP_SECONDS, RUN_SECONDS = 900, 24 * 3600
DEPLOY_SECONDS = 2 * STOP_SECONDS  # what runs ends its batch first, which may take it as long as a stop
SETTLE_SECONDS = 30

Context = Annotated[
    str, typer.Option(help="Context of the kubeconfig; default: its current one, or the pod's own cluster.")
]
Namespace = Annotated[
    str, typer.Option(help="Default: that of the context, or the only one with applications.", show_default=False)
]
Overlay = Annotated[str, typer.Argument(help="dev, prod, or a folder with a kustomization of your own.")]
Manifests = Annotated[
    str,
    typer.Option(metavar="FILE", help="YAML that is rendered already, - for the standard input; no overlay is read."),
]
Image = Annotated[str, typer.Option(help="The image of every application; default: that of the overlay.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait.")]
Settle = Annotated[
    int,
    typer.Option(
        min=0, help="Seconds for which driver and executor must have run; 0: it is enough that the driver's pod runs."
    ),
]


def deploy(
    overlay: Overlay = "dev",
    manifests: Manifests = "",
    image: Image = "",
    context: Context = "",
    diff: Annotated[
        bool, typer.Option("--diff", help="Only show what would change; exit 1 if anything would.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Take over fields that someone else has set.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Do not put things back where an application does not run.")
    ] = False,
    no_wait: NoWait = False,
    timeout: Annotated[
        int, typer.Option(min=1, help="Seconds in which the applications must come to run.")
    ] = DEPLOY_SECONDS,
    settle: Settle = SETTLE_SECONDS,
) -> None:
    """Deploy on Kubernetes: check, try out, apply, and wait until every application and server runs.

    Where one does not come to run, and on Ctrl-C, all is put back as it was.
    """
    from wattcast.deploy import rollout
    from wattcast.deploy.cluster import Cluster
    from wattcast.deploy.rendering import rendered
    from wattcast.deploy.starting import outcome, wait_for_run
    from wattcast.deploy.undoing import put_back_on_failure

    cluster = Cluster(context)
    documents = rollout.checked(cluster, rendered(overlay, manifests=manifests, image=image))
    if diff:
        found = rollout.differences(cluster, documents, force=force)
        print(found, end="\n" if found else "")
        sys.exit(FAILED if found else 0)
    done = rollout.try_out(cluster, documents, force=force)
    put_back = partial(put_back_on_failure, cluster, done, say=_to_stderr, seconds=STOP_SECONDS)
    with put_back():
        rollout.apply(cluster, documents, done, force=force, say=print)
    if done.is_nothing:
        print("nothing to change")
    if no_wait:
        return
    with nullcontext() if keep else put_back():
        running = wait_for_run(cluster, documents, seconds=timeout, settle=settle, replaced=done.replaced)
    for line in outcome(running):
        print(line)


def undeploy(
    overlay: Overlay = "dev",
    manifests: Manifests = "",
    context: Context = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds in which the batches in hand must end.")] = STOP_SECONDS,
) -> None:
    """Take a deployment away, but for its data: claims, Secrets and the namespace stay."""
    from wattcast.deploy import lifecycle
    from wattcast.deploy.cluster import Cluster
    from wattcast.deploy.rendering import rendered

    cluster = Cluster(context)
    documents = rendered(overlay, manifests=manifests)
    spaces = ", ".join(sorted({each["metadata"].get("namespace", "") for each in documents} - {""}))
    if not yes and not typer.confirm(f"Take away the applications of {spaces} and all around them but their data?"):
        raise typer.Exit(FAILED)
    left = lifecycle.undeploy(cluster, documents, seconds=timeout, say=print)
    print(f"Left, as it may hold data or be used by others: {', '.join(left)}.")


def status(namespace: str, context: str, as_json: bool) -> None:
    """The applications and servers of a namespace; exit 1 if anything is wrong with one."""
    import json

    from rich.console import Console
    from rich.table import Table

    from wattcast.deploy import lifecycle
    from wattcast.deploy.cluster import Cluster
    from wattcast.deploy.watching import all_standing
    from wattcast.terminal import plain

    cluster = Cluster(context)
    space = lifecycle.namespace(cluster, namespace)
    found = all_standing(cluster, space)
    rows, servers = [_row(each) for each in found], [_server_row(each) for each in _servers(cluster, space)]
    if as_json:
        print(json.dumps({"namespace": space, "applications": rows, "servers": servers}, indent=2))
    else:
        table = Table("name", "kind", "state", "attempts", "since", "driver", title=space)
        table.add_column("what is wrong", overflow="fold")
        for each, row in zip(found, rows, strict=True):
            cells = (row["name"], row["kind"], row["state"], row["attempts"], each.age, each.driver_phase, row["wrong"])
            table.add_row(*map(plain, cells))
        for row in servers:
            table.add_row(row["name"], row["kind"], row["state"], "", "", "", plain(row["wrong"]))
        Console().print(table)
    sys.exit(FAILED if any(row["wrong"] for row in (*rows, *servers)) else 0)


def logs(
    application: Annotated[str, typer.Argument(metavar="APP", help="Name of the application.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    executor: Annotated[int | None, typer.Option(help="Of that executor; default: of the driver.")] = None,
    previous: Annotated[bool, typer.Option("--previous", help="Of the container before this one.")] = False,
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Show what an application on Kubernetes writes; of one with a schedule its last run."""
    from wattcast.deploy import lifecycle
    from wattcast.deploy.cluster import Cluster, Refused
    from wattcast.deploy.watching import standing

    cluster = Cluster(context)
    space = lifecycle.namespace(cluster, namespace)
    found = standing(cluster, lifecycle.newest_run(cluster, lifecycle.live(cluster, space, application)))
    pod = found.driver if executor is None else found.executors.get(str(executor), "")
    if not pod:
        who = "driver" if executor is None else f"executor {executor}"
        there = (
            f"; it has the executors {', '.join(found.executors)}" if found.executors and executor is not None else ""
        )
        raise Refused(f"{application} has no {who} now: it is {found.state or 'new'}{there}.")
    for line in cluster.lines(pod, space, follow=follow, previous=previous):
        print(line, flush=follow)


def stop(
    applications: Annotated[list[str] | None, typer.Argument(metavar="APP...", help="Names of applications.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of the namespace.")] = False,
    namespace: Namespace = "",
    context: Context = "",
    timeout: Annotated[int, typer.Option(min=1, help="Seconds in which the batch in hand must end.")] = STOP_SECONDS,
) -> None:
    """Stop applications on Kubernetes between two batches; a deployment leaves them stopped until `wattcast start`."""
    from wattcast.deploy import lifecycle
    from wattcast.deploy.cluster import Cluster, Refused
    from wattcast.deploy.watching import all_standing

    if bool(applications) == every:
        raise Refused("Name the applications to stop, or say --all.")
    cluster = Cluster(context)
    space = lifecycle.namespace(cluster, namespace)
    found = (
        [each.application for each in all_standing(cluster, space)]
        if every else [lifecycle.live(cluster, space, name) for name in applications or []]
    )  # fmt: skip
    lifecycle.stop(cluster, found, seconds=timeout, say=print)


def start(
    applications: Annotated[list[str], typer.Argument(metavar="APP...", help="Names of applications.")],
    namespace: Namespace = "",
    context: Context = "",
    no_wait: NoWait = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds in which they must come to run.")] = DEPLOY_SECONDS,
    settle: Settle = SETTLE_SECONDS,
) -> None:
    """Let stopped or ended applications on Kubernetes run again."""
    from wattcast.deploy import lifecycle
    from wattcast.deploy.cluster import Cluster
    from wattcast.deploy.starting import outcome, submissions, wait_for_run

    cluster = Cluster(context)
    space = lifecycle.namespace(cluster, namespace)
    found = [lifecycle.live(cluster, space, name) for name in applications]
    replaced = submissions(cluster, [each for each in found if lifecycle.is_at_rest(each)])
    for each in found:
        lifecycle.start(cluster, each, say=print)
    if not no_wait:
        for line in outcome(wait_for_run(cluster, found, seconds=timeout, settle=settle, replaced=replaced)):
            print(line)


def submit_backfill(
    first: Annotated[str, typer.Option("--from", help="First origin (ISO 8601, on the hour).")],
    end: Annotated[str, typer.Option("--to", help="End of the origins, itself not included.")],
    buildings: Annotated[str, typer.Option(help="Ids with commas between; default: all.")] = "",
    hindsight: Annotated[
        bool, typer.Option("--hindsight", help="Use what is known today, not what was known then.")
    ] = False,
    namespace: Namespace = "",
    context: Context = "",
    no_wait: NoWait = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds in which it must end.")] = RUN_SECONDS,
) -> None:
    """Run a backfill on Kubernetes, beside what is deployed, and follow it to its end."""
    from wattcast.deploy import lifecycle
    from wattcast.deploy.cluster import Cluster, Refused
    from wattcast.times import on_the_hour

    begins, ends = on_the_hour(first), on_the_hour(end)
    if begins >= ends:
        raise Refused("--from must lie before --to.")
    cluster = Cluster(context)
    space = lifecycle.namespace(cluster, namespace)
    arguments = ["--from", begins.isoformat(), "--to", ends.isoformat()]
    arguments += ["--buildings", buildings] if buildings else []
    arguments += ["--hindsight"] if hindsight else []
    name = lifecycle.name_of("backfill", lifecycle.day(begins), lifecycle.day(ends))
    _run(cluster, lifecycle.backfill(cluster, space, arguments, name), no_wait, timeout)


def submit_train(
    namespace: Namespace = "",
    context: Context = "",
    no_wait: NoWait = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds in which it must end.")] = RUN_SECONDS,
) -> None:
    """Run the training of the schedule now, and follow it to its end."""
    _run_scheduled("train", namespace, context, no_wait, timeout)


def submit_maintain(
    namespace: Namespace = "",
    context: Context = "",
    no_wait: NoWait = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds in which it must end.")] = RUN_SECONDS,
) -> None:
    """Run the upkeep of the schedule now, and follow it to its end."""
    _run_scheduled("maintain", namespace, context, no_wait, timeout)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (deploy, undeploy, logs, stop, start):
        app.command()(command)
    submit = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Run a backfill, a training or the upkeep once on Kubernetes."
    )
    submit.command("backfill")(submit_backfill)
    submit.command("train")(submit_train)
    submit.command("maintain")(submit_maintain)
    app.add_typer(submit, name="submit")
    backfill = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Backfills on Kubernetes.")
    backfill.command("submit")(submit_backfill)
    backfill.callback()(lambda: None)  # with one command alone its name would be left out
    app.add_typer(backfill, name="backfill")


def _run_scheduled(app: str, namespace: str, context: str, no_wait: bool, timeout: int) -> None:
    from wattcast.deploy import lifecycle
    from wattcast.deploy.cluster import Cluster

    cluster = Cluster(context)
    space = lifecycle.namespace(cluster, namespace)
    name = lifecycle.name_of(app, lifecycle.day(datetime.now(UTC)))
    _run(cluster, lifecycle.scheduled_now(cluster, space, app, name), no_wait, timeout)


def _run(cluster: Any, document: dict[str, Any], no_wait: bool, timeout: int) -> None:
    from wattcast.deploy import lifecycle

    cluster.create(document)
    name = document["metadata"]["name"]
    print(f"{name} submitted")
    if no_wait:
        return
    ended = lifecycle.run_once(cluster, document, seconds=timeout)
    last = ended.last_lines.get(ended.driver, "")
    print(f"{name} {ended.state}" + (f": {ended.fault.words}" if ended.fault else f": {last}" if last else ""))
    sys.exit(0 if ended.state == "COMPLETED" else FAILED)


def _row(each: "Standing") -> dict[str, Any]:
    """An application as a line of the status."""
    return {
        "name": each.name,
        "kind": each.kind,
        "state": each.state or "new",
        "attempts": each.attempts,
        "since": each.since.isoformat() if each.since else None,
        "driver": each.driver or None,
        "wrong": each.fault.words if each.fault else None,
    }


def _servers(cluster: Any, space: str) -> "list[Server]":
    """The servers of a namespace; where one may not list them, that is said and there are none."""
    from wattcast.deploy.cluster import Forbidden
    from wattcast.deploy.watching import all_servers

    try:
        return all_servers(cluster, space)
    except Forbidden as error:
        _to_stderr(f"Deployments and StatefulSets are not shown: {error}")
        return []


def _server_row(each: "Server") -> dict[str, Any]:
    """A Deployment or a StatefulSet as a line of the status."""
    return {"name": each.name, "kind": each.kind, "state": each.state, "wrong": each.words or None}


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)
