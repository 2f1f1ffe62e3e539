"""The SQL guide agrees with the code: its queries run in Spark and through the gateway, its examples without Spark."""

import importlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyspark
import pytest
from jobs.score import SCORE
from tests.documentation import queries
from tests.jobs.scored import DAY, HOUR, append, forecast_row, hour_row
from tests.jobs.steps import command, put_buildings, variables, wait_until, work
from tests.lib.monitoring.prometheus import free_port

from wattcast.contracts import tables
from wattcast.lake.views import VIEWS, register_views
from wattcast.runtime.context import Run
from wattcast.runtime.options import gateway_options
from wattcast.settings import settings

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/guide-sql.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)
EXAMPLES = ("read_deltalake.py", "read_duckdb.py", "read_pandas.py")
BUILDINGS = ("sim_0001", "sim_0002", "sim_0003")
FIRST, DAYS = datetime(2026, 3, 8), 14
END = FIRST + DAYS * DAY


def usage(number: int) -> float:
    return 10.0 + number % 24 + number * 7 % 5 / 10


def receipt(number: int, building: str, measured_at: datetime, rejected_for: list[str]) -> dict[str, Any]:
    return {
        "accepted": not rejected_for, "kafka_topic": "readings", "kafka_partition": 0, "kafka_offset": number,
        "kafka_timestamp": measured_at + HOUR, "rejected_for": rejected_for, "building_id": building, "device_id": building,
        "measured_at": measured_at, "energy_usage_kwh": 1.0, "raw_payload": bytearray(b"{}") if rejected_for else None,
    }  # fmt: skip


def fill(run: Run) -> None:
    """Write two weeks of hours with a correction, forecasts of the last days (some by a fallback), health rows and an alert."""
    put_buildings(run, *({"building_id": name, "site": "north", "building_type": "school"} for name in BUILDINGS))
    hours = [FIRST + HOUR * number for number in range(24 * DAYS)]
    rows = [hour_row(name, hour, usage(at)) for name in BUILDINGS for at, hour in enumerate(hours)]
    rows += [hour_row("sim_0002", hour, 99.0, revision=2, known_after=DAY) for hour in hours[-9:-3]]
    append(run, "hourly_usage", rows)
    origins = [FIRST + HOUR * at for at in range(24 * 8, 24 * DAYS + 1, 6)]
    forecasts = [
        (name, at, [usage(at.hour + lead) + 0.4 for lead in range(24)]) for name in BUILDINGS for at in origins
    ]
    stale = {"method": "weekly_profile", "warnings": ["stale_context"]}
    append(run, "forecasts", [forecast_row(*key, **(stale if key[0] == "sim_0003" else {})) for key in forecasts])
    rules = [[], [], ["energy_usage_kwh.missing"], ["not_json", "too_large"]]
    records = [receipt(at, name, END + HOUR * at, rules[at % 4]) for at, name in enumerate(BUILDINGS * 4)]
    append(run, "received_readings", records)
    measurement = {"as_of": END, "scope": "fleet", "subject": "fleet", "value": 0.5, "measured_at": END}
    append(run, "health", [measurement | {"measure": name} for name in ("completeness", "rejected_share")])
    alert = {"alert_id": "1", "rule": "meter_silent", "severity": "warning", "scope": "device", "subject": "sim_0003",
             "message": "It is silent.", "started_at": END, "created_at": END}  # fmt: skip
    append(run, "alerts", [alert | {"state": "firing", "changed_at": END}])
    work(run, SCORE)


@pytest.fixture(scope="module")
def lake(new_run: Callable[..., Run], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    own = settings().model_copy(update={"state": tmp_path_factory.mktemp("sql")})
    run = new_run(own, once=True)
    fill(run)
    register_views(run.lake)
    yield run
    run.close()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: " ".join(query.split())[:60])
def test_query_of_the_guide_gives_rows(lake: Run, query: str) -> None:
    assert lake.spark.sql(query).count() > 0


@pytest.mark.parametrize("query", queries(), ids=lambda query: query[:60])
def test_query_of_the_documentation_is_answered(lake: Run, query: str) -> None:
    lake.spark.sql(query).collect()


def test_guide_has_queries_and_names_every_view() -> None:
    assert len(QUERIES) >= 15
    named = GUIDE.replace("`, `_by_", "`, `accuracy_by_")
    assert [view for view in VIEWS if f"`{view}`" not in named] == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_guide_shows_the_example_as_it_is(example: str) -> None:
    assert f"```python\n{(ROOT / 'examples' / example).read_text(encoding='utf-8')}```" in GUIDE


def call_example(name: str, function: str, *arguments: str) -> Any:
    return getattr(importlib.import_module(f"examples.{name}"), function)(*arguments)


def test_examples_without_spark_read_what_spark_reads(lake: Run) -> None:
    uri = lake.settings.lake_uri
    hours = call_example("read_deltalake", "hours", uri, "sim_0002").to_pandas()
    expected = lake.spark.sql(
        "SELECT * FROM hourly_usage WHERE building_id = 'sim_0002' ORDER BY hour, available_at"
    ).toPandas()
    assert list(hours.energy_usage_kwh) == list(expected.energy_usage_kwh)
    assert hours.revision.max() == 2
    accuracy = call_example("read_duckdb", "accuracy", uri)
    view = lake.spark.sql(
        "SELECT building_id, hours, mae_kwh, last_week_mae_kwh FROM accuracy_by_building ORDER BY building_id"
    )
    assert [row[:2] for row in accuracy] == [tuple(row)[:2] for row in view.collect()]
    assert [row[2:] for row in accuracy] == [pytest.approx(tuple(row)[2:], rel=1e-9) for row in view.collect()]
    latest = call_example("read_pandas", "latest_forecast", uri, "sim_0001")
    assert list(pd.to_datetime(latest.target_hour).dt.tz_localize(None)) == [END + HOUR * lead for lead in range(24)]
    assert (latest.p10_kwh < latest.p90_kwh).all()


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_prints_as_its_first_line_says(lake: Run, example: str) -> None:
    file = ROOT / "examples" / example
    words = re.findall(r"python .*?\.py (.*?)\"\"\"", file.read_text(encoding="utf-8"))[0].split()
    words[0] = lake.settings.lake_uri
    result = subprocess.run([sys.executable, file, *words], capture_output=True, text=True, check=True, timeout=300)
    assert len(result.stdout.splitlines()) >= 3


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def beeline(port: int, *statements: str, file: Path, address: str = "") -> subprocess.CompletedProcess[str]:
    """The CSV that Hive's own JDBC client prints for the statements; it continues after a statement that fails."""
    file.write_text("".join(f"{' '.join(statement.split())};\n" for statement in statements), encoding="utf-8")
    jars = str(Path(pyspark.__path__[0]) / "jars" / "*")
    arguments = [
        "--silent=true",
        "--force=true",
        "--showHeader=false",
        "--outputformat=csv2",
        "-n",
        "guest",
        "-f",
        str(file),
    ]
    client = ["java", "-XX:TieredStopAtLevel=1", "-cp", jars, "org.apache.hive.beeline.BeeLine"]
    command = [*client, "-u", f"jdbc:hive2://127.0.0.1:{port}/{address}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


BY_PATH = "not files by path"
REFUSED = {
    "DROP VIEW forecasts": "is read-only",
    "CREATE TEMPORARY VIEW mine AS SELECT 1": "is read-only",
    "SET spark.sql.shuffle.partitions = 3": "is read-only",
    "SET spark.sql.variable.substitute = true": "is read-only",
    "INSERT INTO delta.`{lake}/buildings` (building_id) VALUES ('x')": "is read-only",
    "DELETE FROM delta.`{lake}/buildings`": "is read-only",
    "CREATE TABLE mine AS SELECT * FROM text.`{lake}/no_such`": "is read-only",
    "SELECT * FROM text.`{lake}/buildings/_delta_log/00000000000000000000.json`": BY_PATH,
    "SELECT * FROM parquet.`{lake}/no_such`": BY_PATH,
    "SELECT * FROM csv.`{lake}/no_such`": BY_PATH,
    "SELECT * FROM delta.`{other}`": BY_PATH,
    "SELECT * FROM delta.`{other}` VERSION AS OF 0": BY_PATH,
    "SELECT * FROM IDENTIFIER('delta.`{other}`')": BY_PATH,
    "WITH x AS (SELECT * FROM delta.`{other}`) SELECT * FROM x": BY_PATH,
    "SELECT (SELECT count(*) FROM delta.`{other}`)": BY_PATH,
    "EXECUTE IMMEDIATE 'SELECT * FROM delta.`{other}`'": BY_PATH,
    "SELECT * FROM table_changes_by_path('{other}', 0)": BY_PATH,
    "DESCRIBE delta.`{other}`": BY_PATH,
    "DESCRIBE DETAIL '{other}'": BY_PATH,
    "DESCRIBE HISTORY delta.`{other}`": BY_PATH,
    "SHOW COLUMNS IN delta.`{other}`": BY_PATH,
    "SELECT 1 WHERE 0 < (SELECT length(reflect('java.lang.System', 'getProperty', 'user.home')))": "does not call Java methods",
    "SELECT java_method('java.lang.System', 'getenv', 'HOME')": "does not call Java methods",
    "SELECT try_reflect('java.lang.System', 'getenv', 'HOME')": "does not call Java methods",
    "SELECT from_protobuf(binary('x'), 'Message', '{other}/no_such')": "which read files",
    "SELECT FROM_AVRO(binary('x'), '{other}/no_such')": "which read files",
    "SELECT * FROM read_files('{other}')": "read_files",
    "SELECT TRANSFORM (building_id) USING 'cat' AS (x) FROM buildings": "does not run programs",
}
VARIABLES = "is ${env:AWS_SECRET_ACCESS_KEY} ${system:user.home}"
SECRETS = {"AWS_SECRET_ACCESS_KEY": "hidden-key", "WATTCAST_KAFKA__PASSWORD": "hidden-password"}


def refused_statements(run: Run) -> list[str]:
    """The refused statements for this lake, and a table outside it, which is written first."""
    other = f"{run.settings.state}/other"
    run.spark.range(1).write.format("delta").mode("overwrite").save(other)
    return [statement.format(lake=run.settings.lake_uri, other=other) for statement in REFUSED]


RUN_ALL_IN_ONE_PROCESS = """
import json, sys
from wattcast.cli.main import app
for words in json.loads(sys.argv[1]):
    try:
        app(words, standalone_mode=False)
    except SystemExit as ended:
        print("status", ended.code, file=sys.stderr)
"""


def test_sql_command_only_reads_and_prints_each_error_on_one_line(lake: Run) -> None:
    failing = [
        *refused_statements(lake),
        "SELECT 1 / count(*) * 0 AS zero FROM buildings",
        "SELECT no_such FROM readings",
        "SELECT 1 / 0",
    ]
    words = [["sql", statement] for statement in failing]
    words += [["sql", "--csv", "SELECT '[/x], \"y\"' AS a, TIMESTAMP '2026-01-01 00:00:00' AS t, NULL AS n"]]
    words += [["sql", "--json", "SELECT '[/x]' AS a, TIMESTAMP '2026-01-01 00:00:00' AS t, NULL AS n FROM range(2)"]]
    words += [["sql", "--json", "SELECT 1 AS a WHERE false"], ["sql", "SELECT '[/b17] said' AS `[/x]`", "--rows", "1"]]
    words += [["sql", "--json", f"SELECT '{VARIABLES}' AS text"], ["sql", "SELEC ${env:AWS_SECRET_ACCESS_KEY}"]]
    program = [sys.executable, "-c", RUN_ALL_IN_ONE_PROCESS, json.dumps(words)]
    environment = os.environ | variables(lake) | SECRETS | {"TZ": "America/New_York"}
    result = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=600, check=True)
    stderr = result.stderr.splitlines()
    assert stderr[1::2] == ["status 2"] * len(failing)
    reasons = [*REFUSED.values(), "UNRESOLVED_COLUMN", "DIVIDE_BY_ZERO", "SYNTAX_ERROR"]
    assert [why for why, line in zip(reasons, stderr[::2], strict=True) if why not in line] == []
    assert '"[/x], ""y""",2026-01-01 00:00:00,\n' in result.stdout
    assert '[\n{"a":"[/x]","t":"2026-01-01T00:00:00.000Z","n":null},\n{"a"' in result.stdout
    assert "\n[]\n" in result.stdout
    assert "[/b17] said" in result.stdout
    assert VARIABLES in result.stdout
    assert [secret for secret in SECRETS.values() if secret in result.stdout + result.stderr] == []
    assert lake.lake.table("buildings").count() == len(BUILDINGS)


@pytest.fixture(scope="module")
def gateway_process(lake: Run) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The port and the process of a running `wattcast sql-gateway`; at the end SIGTERM stops it with exit status 0."""
    port = free_port()
    with pytest.MonkeyPatch.context() as variables:
        for name, secret in SECRETS.items():
            variables.setenv(name, secret)
        with command(lake, "sql-gateway", "--port", str(port)) as process:
            wait_until(process, lambda: listens(port), checks=20_000)
            yield port, process
            process.send_signal(signal.SIGTERM)
            _, stderr = process.communicate(timeout=300)
            assert process.returncode == 0, stderr
            assert f"jdbc:hive2://127.0.0.1:{port}/" in stderr


@pytest.fixture(scope="module")
def gateway(gateway_process: tuple[int, subprocess.Popen[str]]) -> int:
    return gateway_process[0]


def test_spark_of_the_gateway_runs_without_the_secrets_of_other_systems(
    gateway_process: tuple[int, subprocess.Popen[str]],
) -> None:
    programs = [program for program in psutil.Process(gateway_process[1].pid).children() if program.name() == "java"]
    assert len(programs) == 1
    assert set(SECRETS) & set(programs[0].environ()) == set()


def test_address_of_a_jdbc_client_sets_nothing(gateway: int, tmp_path: Path) -> None:
    address = "?spark.sql.variable.substitute=true;spark.sql.shuffle.partitions=77#leak=x"
    statements = [f"SELECT '{VARIABLES}'", "SET spark.sql.shuffle.partitions", "SET leak", "SELECT '${leak}'"]
    answered = beeline(gateway, *statements, file=tmp_path / "queries.sql", address=address)
    lines = answered.stdout.splitlines()
    assert VARIABLES in lines
    assert "spark.sql.shuffle.partitions,4" in lines
    assert "leak,<undefined>" in lines
    assert [secret for secret in [*SECRETS.values(), str(Path.home())] if secret in answered.stdout] == []


def test_jdbc_client_gets_every_query_of_the_guide_and_rows_appended_after_its_first_query(
    lake: Run, gateway: int, tmp_path: Path
) -> None:
    count = "SELECT concat('rows ', count(*)) FROM hourly_usage"
    answered = beeline(gateway, "SHOW TABLES", *QUERIES, count, file=tmp_path / "queries.sql")
    assert "Error" not in answered.stderr, answered.stderr
    lines = answered.stdout.splitlines()
    listed = {line.split(",")[1] for line in lines if line.startswith("default,")}
    assert listed == {*VIEWS, *(table.name for table in tables())}
    assert len(lines) > len(listed) + sum(lake.spark.sql(query).count() for query in QUERIES)
    before = lake.lake.table("hourly_usage").count()
    assert f"rows {before}" in answered.stdout
    append(lake, "hourly_usage", [hour_row("sim_0001", END + DAY, 1.0)])
    refused = beeline(
        gateway,
        *refused_statements(lake),
        count,
        file=tmp_path / "no.sql",
    )
    assert f"rows {before + 1}" in refused.stdout
    for why in set(REFUSED.values()):
        refusals = sum(why in line for line in refused.stderr.splitlines() if line.startswith("Error"))
        assert refusals == list(REFUSED.values()).count(why), (why, refused.stderr)
    assert lake.lake.table("buildings").count() == len(BUILDINGS)


def test_taken_port_is_one_error_message_before_spark_starts() -> None:
    program = Path(sys.executable).with_name("wattcast")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        result = subprocess.run([program, "sql-gateway", "--port", port], capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    assert result.stderr == f"The SQL gateway cannot listen at 127.0.0.1, port {port}: Address already in use.\n"


@pytest.mark.parametrize("argv", [["--port", "0"], ["--port", "65536"], ["--port", "many"], ["--no-such"]])
def test_wrong_arguments_of_the_gateway_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gateway_options(argv)
    error = capsys.readouterr().err
    assert len(error) < 300
    assert "usage: wattcast sql-gateway" in error
    assert argv[0] != "--port" or f"a port is a whole number from 1 to 65535, not {argv[1]}" in error


def test_gateway_listens_on_loopback_by_default() -> None:
    assert (gateway_options([]).host, gateway_options([]).port) == ("127.0.0.1", 10000)
