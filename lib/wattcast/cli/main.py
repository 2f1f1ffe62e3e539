"""The command `wattcast`: the tree of its commands. A command imports what it needs when it runs, so that help is fast."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from wattcast.cli import (
    check_reading,
    cluster,
    cluster_runs,
    devices,
    doctor,
    jobs,
    keys,
    lake,
    local,
    migrate,
    replay,
    status,
)
from wattcast.cli.lazy import LazyGroup, register_lazy
from wattcast.errors import exit_on_user_error

LAZY = {
    "load": ("load:load", "Load files of readings as meter portals export them."),
    "train": ("models.train:main", "Train a model on recorded or simulated readings."),
    "tune": ("models.tune:main", "Search for better training options."),
    "retrain": ("models.retrain:main", "Train a model if an open alert asks for it."),
    "backtest": ("models.backtest:main", "Score a model on the last days of recorded readings."),
    "explain": ("models.explain:main", "Explain what drives a forecast."),
    "benchmark": ("benchmarks.model:main", "Measure how fast a model forecasts here."),
    "benchmark-serving": ("benchmarks.serving:main", "Measure how fast the REST API answers here."),
    "serve": ("serve:main", "Serve the REST API and the dashboard."),
    "models": ("models.versions:app", "Register, compare, promote and roll back models."),
}


def _group(help: str) -> typer.Typer:
    return typer.Typer(no_args_is_help=True, rich_markup_mode=None, help=help)


def _add(*commands: Callable[..., None]) -> None:
    """Add commands under the names of their functions."""
    for command in commands:
        app.command()(command)


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help formatted with rich takes three times as long as everything else
    context_settings={"max_content_width": 110},
    help="Hourly energy forecasts for buildings.",
)


@app.callback()
def set_state_folder(
    state: Annotated[
        Path | None,
        typer.Option(help="Folder of the lake, the checkpoints and the embedded broker. Default: .wattcast."),
    ] = None,
) -> None:
    if state is not None:
        os.environ["WATTCAST_STATE"] = str(state)


_add(local.demo, local.up, local.down, status.status, local.simulate, replay.replay)
app.command(hidden=True)(local.jars)

buildings_app = _group("Metadata of buildings, and their erasure.")
buildings_app.command("import")(lake.import_buildings)
buildings_app.command("erase")(lake.erase_building)
app.add_typer(buildings_app, name="buildings")
_add(lake.audit, doctor.doctor, migrate.migrate, lake.check_contracts, lake.sql, devices.devices)
_add(check_reading.check_reading)

app.command(context_settings=jobs.RUN_CONTEXT)(jobs.run)
app.command(context_settings=jobs.JOB_CONTEXT)(jobs.maintain)
app.command("sql-gateway", context_settings=jobs.JOB_CONTEXT)(jobs.sql_gateway)

for name, (target, help) in LAZY.items():
    register_lazy(app, name, f"wattcast.cli.{target}", help=help)

keys_app = _group("Keys of the REST API.")
keys_app.command("create")(keys.create)
keys_app.command("list")(keys.list_keys)
keys_app.command("revoke")(keys.revoke)
app.add_typer(keys_app, name="keys")

_add(cluster.deploy, cluster.undeploy, cluster.logs, cluster.stop, cluster.start)

submit_app = _group("Run a backfill, training or maintenance on Kubernetes.")
submit_app.command("backfill")(cluster_runs.submit_backfill)
submit_app.command("train")(cluster_runs.submit_train)
submit_app.command("retrain")(cluster_runs.submit_retrain)
submit_app.command("maintain")(cluster_runs.submit_maintain)
app.add_typer(submit_app, name="submit")

backfill_app = _group("Backfills on Kubernetes.")
backfill_app.command("submit")(cluster_runs.submit_backfill)
backfill_app.callback()(lambda: None)  # without a callback Typer would make the only command the group itself
app.add_typer(backfill_app, name="backfill")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the program, by default with the arguments of this process. An error that a user can fix ends it with a message."""
    with exit_on_user_error():
        app(None if argv is None else list(argv), prog_name="wattcast")
