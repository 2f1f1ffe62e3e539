"""The command `wattcast`. Each command imports what it needs, so that help comes at once."""

import os
import runpy
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from wattcast import technician
from wattcast.deploy import commands
from wattcast.errors import message, refuse, told
from wattcast.serving.commands import keys_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.errors import PySparkException

    from wattcast.settings import Settings

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # to format help with rich takes three times as long as all the rest
    context_settings={"max_content_width": 110},
    help="Hourly energy forecasts for buildings.",
)
buildings_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Metadata of buildings.")
app.add_typer(buildings_app, name="buildings")
app.add_typer(keys_app, name="keys")
commands.register(app)
technician.register(app)

JOBS = ("ingest", "aggregate", "forecast", "publish", "score", "pipeline", "backfill", "monitor")
MODEL_JOBS = {
    "train": "Train a model on recorded or simulated readings.",
    "tune": "Look for better training options in bounded time.",
    "backtest": "Score a model on the end of recorded readings.",
    "explain": "Say what drives a forecast: calendar, recent level, weather, occupancy.",
    "benchmark": "Measure how fast a model forecasts on this machine.",
    "benchmark-serving": "Measure how fast the REST API answers on this machine.",
    "serve": "Serve the REST API and the dashboard.",
    "models": "Versions of models: register, compare, promote, roll back, or set one here.",
}
EXTRA: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True}
SHOWN_ROWS = 100
PASSED_ON = EXTRA | {"help_option_names": []}
IntervalMinutes = Annotated[
    int | None, typer.Option(help="Between readings, a divisor of 60; default: 5 to 60 by building.")
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed: same readings.")]
Share = Annotated[float, typer.Option(min=0, max=1, help="Share of the readings.")]


def main() -> None:
    """The program: what a user can mend is said in a sentence."""
    with told():
        app()


@app.callback()
def where(
    state: Annotated[
        Path | None, typer.Option(help="Folder of the lake, the checkpoints and the embedded broker.")
    ] = None,
) -> None:
    if state is not None:
        os.environ["WATTCAST_STATE"] = str(state)


@app.command(context_settings=EXTRA | {"allow_interspersed_args": False})
def run(context: typer.Context, job: Annotated[str, typer.Argument(help=f"One of {', '.join(JOBS)}.")]) -> None:
    """Run a Spark job; options after its name go to the job."""
    if job not in JOBS:
        refuse(f"There is no job {job}: there are {', '.join(JOBS)}.")
    _run_job(job, context.args)


def _passing_on(job: str) -> "Callable[[typer.Context], None]":
    """A command whose options are those of the job, which says them itself."""

    def command(context: typer.Context) -> None:
        _run_job(job, context.args)

    return command


OTHER_JOBS = {"maintain": "Compact and vacuum the tables, beside the jobs that write them."}
for name, said in (MODEL_JOBS | OTHER_JOBS).items():
    app.command(name, help=said, context_settings=PASSED_ON)(_passing_on(name))


@app.command()
def demo(
    data: Annotated[
        Path | None, typer.Option(help="Recorded readings (Parquet or CSV); without it they are simulated.")
    ] = None,
    buildings_file: Annotated[Path | None, typer.Option(help="Metadata of the buildings (CSV).")] = None,
    buildings: Annotated[int, typer.Option(min=1, help="At most so many, the first of the recorded ones.")] = 12,
    days: Annotated[int, typer.Option(min=2, help="At most so many, from the first reading on.")] = 30,
    interval_minutes: IntervalMinutes = None,
    faults: Annotated[
        float, typer.Option(min=0, max=1, help="Share disordered, delayed, duplicated, corrected and corrupted, each.")
    ] = 0.02,
    seed: Seed = 1,
) -> None:
    """Readings in, forecasts out, on this machine alone."""
    _supported()
    from wattcast.local.demo.demo import Demo

    sys.exit(Demo(data, buildings_file, buildings, days, interval_minutes, faults, seed).run())


@app.command()
def up() -> None:
    """Start the embedded broker; it stays until `wattcast down`."""
    from wattcast.local.embedded.stack import up

    print(up(_settings().state))


@app.command()
def down() -> None:
    """Stop the embedded broker; its data stays."""
    from wattcast.local.embedded.stack import down

    print(down(_settings().state))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    target: Annotated[str, typer.Option(help="local: this machine; k8s: a cluster.")] = "local",
    namespace: commands.Namespace = "",
    context: commands.Context = "",
) -> None:
    """What runs, and what is stored."""
    import json

    if target == "k8s":
        commands.status(namespace, context, as_json)
    if target != "local":
        refuse(f"There is no target {target}: it is local or k8s.")

    from wattcast.local.embedded.stack import status

    found = status(_settings().state, _settings().lake_uri)
    if as_json:
        print(json.dumps(found, indent=2, default=str))
        return
    print(f"broker: {found['bootstrap_servers'] or 'down (start it with `wattcast up`)'}")
    for topic, held in found["topics"].items():
        print(f"  {topic}: {held['records']:,} records")
    print(f"lake: {found['lake']}" + ("" if found["lake_bytes"] is None else f", {found['lake_bytes'] / 1e6:,.1f} MB"))


@app.command(hidden=True)
def jars(
    sets: Annotated[list[str] | None, typer.Argument(help="Of conf/jars.lock.")] = None,
    into: Annotated[Path | None, typer.Option(help="Copy them there.")] = None,
) -> None:
    """Fetch the Java libraries of the broker and of Spark's connectors."""
    import shutil

    from wattcast.local.embedded.jars import SETS, jars

    for name in sets or ("spark", "broker"):
        if name not in SETS:
            refuse(f"There is no set {name} of jars: there are {', '.join(SETS)}.")
        for jar in jars(name):
            if into is not None:
                shutil.copy(jar, into)


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Parquet file to write; metadata comes beside it as .buildings.csv.")],
    buildings: Annotated[int, typer.Option(min=1, help="How many.")] = 10,
    days: Annotated[int, typer.Option(min=1, help="How long.")] = 60,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="First day, UTC.")] = datetime(2026, 1, 1),
    interval_minutes: IntervalMinutes = None,
    seed: Seed = 0,
    faults: Annotated[float, typer.Option(help="Share of readings with a sensor fault, 0.5 at most.")] = 0.0,
) -> None:
    """Write readings of made-up buildings, reproducible by seed."""
    from rich.progress import Progress

    from wattcast.local.simulation.simulator import write_simulation

    with Progress() as progress:
        task = progress.add_task("simulate", total=days)
        rows = _or_refuse(lambda: write_simulation(
            out, buildings=buildings, days=days, start=start.date(), interval_minutes=interval_minutes, seed=seed, faults=faults,
            progress=lambda done: progress.update(task, completed=done),
        ))  # fmt: skip
    print(f"{rows:,} readings of {buildings} buildings: {out}, {out.with_suffix('.buildings.csv')}")


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Parquet or CSV: timestamp (or measured_at), building_id, energy_usage_kwh, ...")],
    buildings_file: Annotated[Path | None, typer.Option(help="Metadata (CSV) to import first.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="Simulated seconds a second; default: full speed.")] = None,
    buildings: Annotated[int | None, typer.Option(min=1, help="Only the first N.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Only the first N.")] = None,
    start: Annotated[datetime | None, typer.Option("--from", help="UTC.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", help="UTC, not included.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed: same faults.")] = 0,
    disordered: Share = 0, delayed: Share = 0, duplicated: Share = 0, corrected: Share = 0, corrupted: Share = 0,
    naive_is_utc: Annotated[bool, typer.Option(help="Take times without a zone as UTC.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on where the same replay was stopped.")] = False,
) -> None:  # fmt: skip
    """Send recorded readings to Kafka in order of arrival, with faults if asked."""
    from rich.markup import escape
    from rich.pretty import pprint
    from rich.progress import Progress

    from wattcast.broker import Broker
    from wattcast.job import connected
    from wattcast.local.replay.faults import Faults
    from wattcast.local.replay.recordings import recording
    from wattcast.local.replay.replay import replay

    if not file.is_file():
        refuse(f"There is no file {file}.")
    current = connected(_settings())
    source = recording(file, buildings=buildings, days=days, start=start, end=end, naive_is_utc=naive_is_utc)
    if buildings_file is not None:
        import_buildings(buildings_file)
    broker = Broker(current.kafka)
    broker.ensure_topics([current.kafka.readings_topic])
    memory = current.state / "replay.json"
    if not resume:
        memory.unlink(missing_ok=True)
    with Progress() as progress:
        task = progress.add_task(escape(f"replay {file.name}"), total=1.0)
        counts = _or_refuse(lambda: replay(
            source, broker, topic=current.kafka.readings_topic, speed=speed, seed=seed, state_file=memory,
            faults=Faults(disordered, delayed, duplicated, corrected, corrupted),
            progress=lambda share, _: progress.update(task, completed=share),
        ))  # fmt: skip
    pprint(counts)


@buildings_app.command("import")
def import_buildings(
    file: Annotated[
        Path, typer.Argument(help="CSV with building_id and any of the columns of the contract `buildings`.")
    ],
    reading_interval_minutes: Annotated[
        int | None, typer.Option(help="For buildings of which the file does not tell it.")
    ] = None,
) -> None:
    """Fill the table `buildings` anew from a file."""
    from wattcast.job import opened
    from wattcast.metadata import buildings_of

    rows = buildings_of(file, default_interval_minutes=reading_interval_minutes)
    with opened(with_broker=False, name="buildings-import") as run:
        run.lake.replace("buildings", run.lake.frame("buildings", rows))
    print(f"{len(rows)} buildings imported from {file}")


@app.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    recheck: Annotated[bool, typer.Option(help="Read the records again and judge them again.")] = False,
) -> None:
    """Prove that every Kafka record is one row; exit 1 if not."""
    from wattcast.audit import as_json as written
    from wattcast.audit import audit
    from wattcast.job import opened
    from wattcast.report import audit_table
    from wattcast.terminal import show

    with opened(name="audit") as run:
        partitions = audit(run, recheck=recheck)
    print(written(partitions)) if as_json else show(audit_table(partitions))
    sys.exit(0 if all(each.is_clean for each in partitions) else 1)


@app.command("check-contracts")
def check_contracts(
    tables: Annotated[list[str] | None, typer.Argument(help="Only these.")] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Folder of the HTML; default: data-docs in the state folder.")
    ] = None,
) -> None:
    """Check the last days of the tables against their contracts, and write Data Docs (HTML); exit 1 if one is broken."""
    from datetime import UTC

    from wattcast.contracts import tables as declared
    from wattcast.expectations import check
    from wattcast.job import opened
    from wattcast.monitoring import arrival_clock
    from wattcast.report import contracts_table
    from wattcast.terminal import show

    names = [table.name for table in declared()]
    if unknown := set(tables or ()) - set(names):
        refuse(f"There is no table {sorted(unknown)[0]}: there are {', '.join(names)}.")
    with opened(name="check-contracts", with_broker=False) as run:
        now = datetime.now(UTC).replace(tzinfo=None)
        folder = docs or run.settings.state.resolve() / "data-docs"
        found = check(run.lake, as_of=arrival_clock(run.lake, now) or now, names=tables or (), docs=folder)
    show(contracts_table(found))
    print(f"Data Docs: {folder / 'index.html'}")
    sys.exit(1 if any(each.failed for each in found) else 0)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="SELECT over the tables and views by name.")],
    rows: Annotated[
        int | None, typer.Option(min=1, help="At most so many rows; default: 100 in a table, else all.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV, with a header.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As a JSON array.")] = False,
) -> None:
    """Ask the tables and views by name, read only."""
    from pyspark.errors import PySparkException

    from wattcast.gateway import reading
    from wattcast.job import opened
    from wattcast.report import print_csv, print_json, sql_table
    from wattcast.terminal import show

    if as_csv and as_json:
        refuse("--csv or --json, not both.")
    with opened(name="sql", with_broker=False) as run:
        try:
            found = reading(run.lake).sql(query)
            if as_csv or as_json:
                wanted = found.limit(rows) if rows else found
                print_csv(wanted) if as_csv else print_json(wanted)
            else:
                show(sql_table(found, rows or SHOWN_ROWS))
        except PySparkException as error:
            refuse(_said(error))


@app.command("sql-gateway", context_settings=PASSED_ON)
def sql_gateway(context: typer.Context) -> None:
    """Serve the tables and views to JDBC clients, read only."""
    _run_job("sql_gateway", context.args)


def _run_job(name: str, arguments: list[str]) -> None:
    """Run jobs/<name>.py as if it had been called by its file."""
    from wattcast.settings import project_folder

    folder = project_folder("jobs")
    sys.path.insert(0, str(folder))
    sys.argv = [f"wattcast {name}", *arguments]
    runpy.run_path(str(folder / f"{name.replace('-', '_')}.py"), run_name="__main__")


def _settings() -> "Settings":
    from wattcast.settings import settings

    return settings()


def _or_refuse(action: "Callable[[], T]") -> "T":
    """The result, or for bad input its message and exit 2."""
    try:
        return action()
    except (ValueError, OSError) as error:
        refuse(message(error))


def _supported() -> None:
    from wattcast.local.embedded.preflight import check_java, check_python

    check_python()
    check_java()


def _said(error: "PySparkException") -> str:
    """What is wrong with a query, in one line."""
    if error.getCondition() == "TABLE_OR_VIEW_NOT_FOUND":
        from wattcast.contracts import tables
        from wattcast.views import VIEWS

        name = (error.getMessageParameters() or {}).get("relationName", "of that name")
        return f"There is no table or view {name}: there are {', '.join([*(t.name for t in tables()), *VIEWS])}."
    return next(line for line in str(error).split(";")[0].splitlines() if line.strip())
