"""The commands on the tables of the lake: `buildings import` and `erase`, `audit`, `check-contracts` and `sql`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from wattcast.errors import FAILED, refuse


def import_buildings(
    file: Annotated[
        Path, typer.Argument(help="CSV with building_id and any of the columns of the contract `buildings`.")
    ],
    reading_interval_minutes: Annotated[
        int | None,
        typer.Option(help="Minutes between readings, for buildings whose interval the file does not contain."),
    ] = None,
) -> None:
    """Replace the table `buildings` by the rows of a file."""
    from wattcast.ingest.import_buildings import import_buildings

    count = import_buildings(file, reading_interval_minutes)
    print(f"Imported {count} buildings from {file}.")


def erase_building(
    building_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the building.")],
    yes: Annotated[bool, typer.Option("--yes", help="Erase without asking.")] = False,
) -> None:
    """Erase a building from all tables, for good.

    Stop the jobs first. The audit counts its records as erased.
    """
    from wattcast.ingest.erasure import erase_building
    from wattcast.runtime.context import opened
    from wattcast.settings import settings
    from wattcast.terminal.console import show, stdout_to_stderr
    from wattcast.terminal.erasure import erasure_sentences, erasure_table

    if not building_id.strip():
        refuse("The id of the building is empty: give the id as it is in its readings.")
    if not yes:
        question = f"Erase the building {building_id} and all earlier versions of the tables in {settings().lake_uri}?"
        typer.confirm(question, abort=True)
    with stdout_to_stderr(), opened(name="buildings-erase") as run:  # Delta prints from the JVM in a VACUUM
        erasure = erase_building(run, building_id)
    show(erasure_table(erasure))
    for sentence in erasure_sentences(erasure, building_id):
        print(sentence)


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    recheck: Annotated[
        bool, typer.Option(help="Read the records again and compare their rejection reasons with the table.")
    ] = False,
) -> None:
    """Check that every Kafka record is exactly one row.

    Exit 1 if not.
    """
    from wattcast.ingest.audit import as_json as audit_json
    from wattcast.terminal.audit import audited_partitions
    from wattcast.terminal.console import show
    from wattcast.terminal.tables import audit_table

    partitions = audited_partitions(recheck=recheck)
    print(audit_json(partitions)) if as_json else show(audit_table(partitions))
    sys.exit(0 if all(partition.is_clean for partition in partitions) else FAILED)


def check_contracts(
    tables: Annotated[list[str] | None, typer.Argument(help="Names of tables. Default: all.")] = None,
    docs: Annotated[
        Path | None, typer.Option(help="Folder of the HTML report. Default: data-docs in the state folder.")
    ] = None,
) -> None:
    """Check the tables against their data contracts.

    Checks the last days and writes a report as HTML (Data Docs); exit 1 if a contract is broken.
    """
    from wattcast import contracts
    from wattcast.lake.migration import inspect_tables
    from wattcast.monitoring.context import newest_arrival
    from wattcast.monitoring.measures.contract_checks import check_tables
    from wattcast.runtime.context import opened
    from wattcast.terminal.console import show
    from wattcast.terminal.tables import contracts_table
    from wattcast.times import now_utc

    names = [table.name for table in contracts.tables()]
    if unknown := set(tables or ()) - set(names):
        refuse(f"There is no table {sorted(unknown)[0]}: choose from {', '.join(names)}.")
    with opened(name="check-contracts", with_broker=False, prepare=inspect_tables) as run:
        now = now_utc()
        folder = docs or run.settings.state.resolve() / "data-docs"
        results = check_tables(run.lake, as_of=newest_arrival(run.lake, now) or now, names=tables or (), docs=folder)
    show(contracts_table(results))
    print(f"Data Docs: {folder / 'index.html'}")
    sys.exit(FAILED if any(result.failed for result in results) else 0)


def sql(
    query: Annotated[str, typer.Argument(help="SELECT statement over the tables and views by name.")],
    rows: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of rows. Default: 100 in a table, all in CSV and JSON.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV with a header.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
    engine: Annotated[
        str,
        typer.Option(
            help="auto: DuckDB where the query is plain, else Spark; spark: Spark; duckdb: DuckDB or no answer."
        ),
    ] = "auto",
) -> None:
    """Query the tables and views by name, read-only."""
    if as_csv and as_json:
        refuse("Use either --csv or --json.")
    from wattcast.terminal.query import Engine, print_query

    if engine not in [*Engine]:
        refuse(f"There is no engine {engine}: choose from {', '.join(Engine)}.")
    output: Literal["table", "csv", "json"] = "csv" if as_csv else "json" if as_json else "table"
    print_query(query, max_rows=rows, output=output, engine=Engine(engine))
