"""The commands that run a Spark application of jobs/ on this machine: `run`, `maintain` and `sql-gateway`."""

from typing import Annotated, Any

import typer

from wattcast.errors import refuse

JOBS = ("ingest", "aggregate", "forecast", "publish", "score", "pipeline", "backfill", "monitor")
JOBS_WITH_A_COMMAND = ("maintain", "sql-gateway")

_EXTRA: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True}
RUN_CONTEXT = _EXTRA | {"allow_interspersed_args": False}
JOB_CONTEXT = _EXTRA | {"help_option_names": []}  # the job prints its own help


def run(context: typer.Context, job: Annotated[str, typer.Argument(help=f"One of {', '.join(JOBS)}.")]) -> None:
    """Run a Spark job.

    Options after its name are those of the job: `wattcast run ingest --help` shows them.
    """
    if job not in JOBS:
        refuse(f"There is no job {job}: choose one of {', '.join(JOBS)}.")
    _run(job, context.args)


def maintain(context: typer.Context) -> None:
    """Compact and vacuum the tables while jobs write them."""
    _run("maintain", context.args)


def sql_gateway(context: typer.Context) -> None:
    """Serve the tables and views to JDBC clients, read-only."""
    _run("sql_gateway", context.args)


def _run(name: str, arguments: list[str]) -> None:
    from wattcast.runtime.job_files import load_job_file

    load_job_file(name).main(arguments)
