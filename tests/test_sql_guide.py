"""The guide of SQL says what is so: its queries by Spark and through the gateway, its examples without Spark, on one lake."""

import importlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyspark
import pytest
from pyspark.sql import SparkSession
from tests.jobs.scored import DAY, HOUR, append, forecast_row, hour_row
from tests.jobs.steps import command, environment, put_buildings, wait_until, work
from tests.monitoring.prometheus import free_port
from tests.test_docs import queries

from score import SCORE
from sql_gateway import options
from wattcast.broker import Broker
from wattcast.contracts import tables
from wattcast.job import Run
from wattcast.lakehouse import Lakehouse
from wattcast.settings import settings
from wattcast.views import VIEWS

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
    """Two weeks of hours, forecasts of the last days, some that the model did not make, a correction, health and an alert."""
    put_buildings(run, *({"building_id": name, "site": "north", "building_type": "school"} for name in BUILDINGS))
    hours = [FIRST + HOUR * number for number in range(24 * DAYS)]
    rows = [hour_row(name, hour, usage(at)) for name in BUILDINGS for at, hour in enumerate(hours)]
    rows += [hour_row("sim_0002", hour, 99.0, revision=2, known_after=DAY) for hour in hours[-9:-3]]
    append(run, "hourly_usage", rows)
    origins = [FIRST + HOUR * at for at in range(24 * 8, 24 * DAYS + 1, 6)]
    made = [(name, at, [usage(at.hour + lead) + 0.4 for lead in range(24)]) for name in BUILDINGS for at in origins]
    stale = {"method": "weekly_profile", "warnings": ["stale_context"]}
    append(run, "forecasts", [forecast_row(*each, **(stale if each[0] == "sim_0003" else {})) for each in made])
    rules = [[], [], ["energy_usage_kwh.missing"], ["not_json", "too_large"]]
    found = [receipt(at, name, END + HOUR * at, rules[at % 4]) for at, name in enumerate(BUILDINGS * 4)]
    append(run, "received_readings", found)
    seen = {"as_of": END, "scope": "fleet", "subject": "fleet", "value": 0.5, "measured_at": END}
    append(run, "health", [seen | {"measure": name} for name in ("completeness", "rejected_share")])
    alert = {"alert_id": "1", "rule": "meter_silent", "severity": "warning", "scope": "device", "subject": "sim_0003",
             "message": "It is silent.", "started_at": END, "created_at": END}  # fmt: skip
    append(run, "alerts", [alert | {"state": "firing", "changed_at": END}])
    work(run, SCORE)


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    own = settings().model_copy(update={"state": tmp_path_factory.mktemp("sql")})
    run = Run(Lakehouse(spark, own, once=True), Broker(own.kafka), own)
    run.lake.create_tables()
    fill(run)
    run.lake.register_views()
    yield run
    run.lake.close()


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


def of_example(name: str, function: str, *arguments: str) -> Any:
    return getattr(importlib.import_module(f"examples.{name}"), function)(*arguments)


def test_examples_without_spark_read_what_spark_reads(lake: Run) -> None:
    uri = lake.settings.lake_uri
    hours = of_example("read_deltalake", "hours", uri, "sim_0002").to_pandas()
    expected = lake.spark.sql(
        "SELECT * FROM hourly_usage WHERE building_id = 'sim_0002' ORDER BY hour, available_at"
    ).toPandas()
    assert list(hours.energy_usage_kwh) == list(expected.energy_usage_kwh)
    assert hours.revision.max() == 2
    accuracy = of_example("read_duckdb", "accuracy", uri)
    view = lake.spark.sql(
        "SELECT building_id, hours, mae_kwh, last_week_mae_kwh FROM accuracy_by_building ORDER BY building_id"
    )
    assert [row[:2] for row in accuracy] == [tuple(row)[:2] for row in view.collect()]
    assert [row[2:] for row in accuracy] == [pytest.approx(tuple(row)[2:], rel=1e-9) for row in view.collect()]
    latest = of_example("read_pandas", "latest_forecast", uri, "sim_0001")
    assert list(pd.to_datetime(latest.target_hour).dt.tz_localize(None)) == [END + HOUR * lead for lead in range(24)]
    assert (latest.p10_kwh < latest.p90_kwh).all()


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_prints_as_its_first_line_says(lake: Run, example: str) -> None:
    file = ROOT / "examples" / example
    words = re.findall(r"python .*?\.py (.*?)\"\"\"", file.read_text(encoding="utf-8"))[0].split()
    words[0] = lake.settings.lake_uri
    done = subprocess.run([sys.executable, file, *words], capture_output=True, text=True, check=True, timeout=300)
    assert len(done.stdout.splitlines()) >= 3


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def beeline(port: int, *statements: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Hive's own client over JDBC: what it prints as CSV, every statement whether or not one before it failed."""
    file.write_text("".join(f"{' '.join(each.split())};\n" for each in statements), encoding="utf-8")
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
    return subprocess.run(
        ["java", "-cp", jars, "org.apache.hive.beeline.BeeLine", "-u", f"jdbc:hive2://127.0.0.1:{port}/", *arguments],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


REFUSED = {
    "DROP VIEW forecasts": "reads only",
    "CREATE TEMPORARY VIEW mine AS SELECT 1": "reads only",
    "SET spark.sql.shuffle.partitions = 3": "reads only",
    "INSERT INTO delta.`{lake}/buildings` (building_id) VALUES ('x')": "reads only",
    "DELETE FROM delta.`{lake}/buildings`": "reads only",
    "SELECT * FROM text.`{lake}/buildings/_delta_log/00000000000000000000.json`": "no files by their paths",
    "SELECT 1 WHERE 0 < (SELECT length(reflect('java.lang.System', 'getProperty', 'user.home')))": "no methods of Java",
    "SELECT TRANSFORM (building_id) USING 'cat' AS (x) FROM buildings": "runs no programs",
}


ASKED_IN_ONE_PROCESS = """
import json, sys
from wattcast.cli import app
for words in json.loads(sys.argv[1]):
    try:
        app(words, standalone_mode=False)
    except SystemExit as ended:
        print("status", ended.code, file=sys.stderr)
"""


def test_the_command_reads_only_and_says_each_error_in_one_line(lake: Run) -> None:
    statements = [each.format(lake=lake.settings.lake_uri) for each in REFUSED]
    asked = [
        *statements,
        "SELECT 1 / count(*) * 0 AS zero FROM buildings",
        "SELECT no_such FROM readings",
        "SELECT 1 / 0",
    ]
    words = [["sql", each] for each in asked]
    words += [["sql", "--csv", "SELECT '[/x], \"y\"' AS a, TIMESTAMP '2026-01-01 00:00:00' AS t, NULL AS n"]]
    words += [["sql", "--json", "SELECT '[/x]' AS a, TIMESTAMP '2026-01-01 00:00:00' AS t, NULL AS n FROM range(2)"]]
    words += [["sql", "--json", "SELECT 1 AS a WHERE false"], ["sql", "SELECT '[/b17] said' AS `[/x]`", "--rows", "1"]]
    done = subprocess.run(
        [sys.executable, "-c", ASKED_IN_ONE_PROCESS, json.dumps(words)],
        env=environment(lake) | {"TZ": "America/New_York"}, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if not line.startswith("WARNING: Using incubator modules")]
    assert said[1::2] == ["status 2"] * (len(REFUSED) + 2)
    reasons = [*REFUSED.values(), "UNRESOLVED_COLUMN", "DIVIDE_BY_ZERO"]
    assert [why for why, line in zip(reasons, said[::2], strict=True) if why not in line] == []
    assert '"[/x], ""y""",2026-01-01 00:00:00,\n' in done.stdout
    assert '[\n{"a":"[/x]","t":"2026-01-01T00:00:00.000Z","n":null},\n{"a"' in done.stdout
    assert "\n[]\n" in done.stdout
    assert "[/b17] said" in done.stdout.splitlines()[-3]
    assert lake.lake.table("buildings").count() == len(BUILDINGS)


@pytest.fixture(scope="module")
def gateway(lake: Run) -> Iterator[int]:
    """The port of `wattcast sql-gateway`, which ends well when it is told to."""
    port = free_port()
    with command(lake, "sql-gateway", "--port", str(port)) as process:
        wait_until(process, lambda: listens(port), looks=20_000)
        yield port
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert f"jdbc:hive2://127.0.0.1:{port}/" in said


def test_a_jdbc_client_gets_every_query_of_the_guide_and_what_came_after_it_asked_first(
    lake: Run, gateway: int, tmp_path: Path
) -> None:
    count = "SELECT concat('rows ', count(*)) FROM hourly_usage"
    answered = beeline(gateway, "SHOW TABLES", *QUERIES, count, file=tmp_path / "queries.sql")
    assert "Error" not in answered.stderr, answered.stderr
    lines = answered.stdout.splitlines()
    shown = {line.split(",")[1] for line in lines if line.startswith("default,")}
    assert shown == {*VIEWS, *(table.name for table in tables())}
    assert len(lines) > len(shown) + sum(lake.spark.sql(query).count() for query in QUERIES)
    before = lake.lake.table("hourly_usage").count()
    assert f"rows {before}" in answered.stdout
    append(lake, "hourly_usage", [hour_row("sim_0001", END + DAY, 1.0)])
    refused = beeline(
        gateway, *(each.format(lake=lake.settings.lake_uri) for each in REFUSED), count, file=tmp_path / "no.sql"
    )
    assert f"rows {before + 1}" in refused.stdout
    for why in set(REFUSED.values()):
        said = sum(why in line for line in refused.stderr.splitlines() if line.startswith("Error"))
        assert said == list(REFUSED.values()).count(why), (why, refused.stderr)
    assert lake.lake.table("buildings").count() == len(BUILDINGS)


def test_a_port_that_is_taken_is_a_sentence_before_spark_starts() -> None:
    program = Path(sys.executable).with_name("wattcast")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = subprocess.run([program, "sql-gateway", "--port", port], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr == f"The SQL gateway cannot listen at 127.0.0.1, port {port}: Address already in use.\n"


@pytest.mark.parametrize("argv", [["--port", "0"], ["--port", "65536"], ["--port", "many"], ["--no-such"]])
def test_wrong_arguments_of_the_gateway_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options(argv)
    said = capsys.readouterr().err
    assert len(said) < 300
    assert "usage: wattcast sql-gateway" in said
    assert argv[0] != "--port" or f"a port is a whole number from 1 to 65535, not {argv[1]}" in said


def test_the_gateway_listens_on_loopback_unless_told_otherwise() -> None:
    assert (options([]).host, options([]).port) == ("127.0.0.1", 10000)
