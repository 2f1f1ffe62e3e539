"""The command `status`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.cli.cluster_options import Context, Namespace
from wattcast.errors import FAILED, refuse

if TYPE_CHECKING:
    from rich.table import Table

    from wattcast.deploy.operations.overview import NamespaceStatus


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    target: Annotated[str, typer.Option(help="local: this machine; k8s: a Kubernetes cluster.")] = "local",
    namespace: Namespace = "",
    context: Context = "",
) -> None:
    """Show what runs and what is stored.

    With --target k8s: the applications and servers of a namespace; exit 1 if anything is wrong with one.
    """
    if target == "local":
        _show_local(as_json)
    elif target == "k8s":
        _show_cluster(namespace, context, as_json)
    else:
        refuse(f"There is no target {target}: choose local or k8s.")


def _show_local(as_json: bool) -> None:
    from wattcast.embedded.stack import status
    from wattcast.settings import settings

    current = status(settings().state, settings().lake_uri)
    if as_json:
        print(json.dumps(current, indent=2, default=str))
        return
    print(f"broker: {current['bootstrap_servers'] or 'down (start it with `wattcast up`)'}")
    for name, topic in current["topics"].items():
        print(f"  {name}: {topic['records']:,} records")
    size = "" if current["lake_bytes"] is None else f", {current['lake_bytes'] / 1e6:,.1f} MB"
    print(f"lake: {current['lake']}{size}")


def _show_cluster(namespace: str, context: str, as_json: bool) -> None:
    from rich.console import Console

    from wattcast.deploy.operations.overview import namespace_status

    current = namespace_status(namespace, context)
    if current.notice:
        print(current.notice, file=sys.stderr)
    if as_json:
        print(json.dumps(current.as_json(), indent=2))
    else:
        Console().print(_table(current))
    sys.exit(FAILED if current.has_fault else 0)


def _table(current: "NamespaceStatus") -> "Table":
    from rich.table import Table

    from wattcast.terminal.console import plain

    table = Table("name", "kind", "state", "attempts", "since", "driver", title=current.namespace)
    table.add_column("what is wrong", overflow="fold")
    for app in current.applications:
        fault = app.fault.message if app.fault else None
        cells = (app.name, app.kind, app.state or "new", app.attempts, app.age, app.driver_phase, fault)
        table.add_row(*map(plain, cells))
    for server in current.servers:
        table.add_row(server.name, server.kind, server.state, "", "", "", plain(server.detail))
    return table
