"""Access of the tests to an environment that is deployed in the test cluster."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from deltalake import DeltaTable
from tests.k8s.cluster.build import WATTCAST
from tests.k8s.cluster.node import ROOT, Cluster, Completed

from wattcast.contracts import contract
from wattcast.deploy.applications import STATE, application
from wattcast.deploy.manifests.documents import Manifest
from wattcast.deploy.manifests.pod_template import Target
from wattcast.deploy.manifests.spark_application import manifest

OVERLAY = Path(__file__).parent / "overlay"
CONSOLE = ROOT / "k8s" / "console.yaml"
NAMESPACE = "wattcast-dev"
TRIAL = "wattcast-trial"  # for what is deployed without a pod
SECONDS = 240
BUILDINGS, DAYS = 50, 6  # the last day is kept for the new model
READINGS = f"{STATE}/readings.parquet"
QUERIES = ("ingest", "aggregate", "forecast", "publish")


@dataclass(frozen=True)
class Live:
    """Its cluster, and the folder of this machine that is the state folder of its pods."""

    cluster: Cluster
    state: Path

    def wattcast(self, *arguments: str) -> Completed:
        """Run a command on a machine that reaches the cluster."""
        return self.cluster.run("wattcast", *arguments)

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> Completed:
        return self.cluster.kubectl("--namespace", NAMESPACE, *arguments, check=check, stdin=stdin)

    def new_console(self, image: str) -> None:
        """Create the console pod, replacing an existing one."""
        pod = yaml.safe_load(CONSOLE.read_text(encoding="utf-8"))
        pod["spec"]["containers"][0]["image"] = image
        self.kubectl("delete", "pod", "console", "--ignore-not-found", "--grace-period=0", "--force")
        self.kubectl("create", "-f", "-", stdin=json.dumps(pod))
        self.kubectl("wait", "--for=condition=Ready", "pod/console", "--timeout=120s")

    def console(self, *command: str) -> str:
        """The output of a command in the console pod.

        Raises:
            AssertionError: it failed, with what it said.
        """
        return self.kubectl("exec", "console", "--", *command).stdout

    def import_buildings(self, *settings: str) -> None:
        """The metadata of the buildings into the lake, or into that of some settings (NAME=VALUE)."""
        file = READINGS.replace(".parquet", ".buildings.csv")
        self.console("env", *settings, "wattcast", "buildings", "import", file)

    def replay_of_day(self, day: int) -> "subprocess.Popen[str]":
        """A process that sends the readings of one day (the first is 1)."""
        begin, end = (f"2026-01-{each:02}" for each in (day, day + 1))
        return self.console_in_background("wattcast", "replay", READINGS, "--from", begin, "--to", end)

    def console_in_background(self, *command: str) -> "subprocess.Popen[str]":
        inside = self.cluster.inside(self.cluster.kubebox, "kubectl", "--namespace", NAMESPACE, "exec", "console", "--")
        return subprocess.Popen([*inside, *command], env=self.cluster.env(), stdout=subprocess.DEVNULL, text=True)

    def application(self, name: str) -> dict[str, Any]:
        said = self.kubectl("get", "sparkapplication", name, "-o", "json", check=False).stdout
        return dict(json.loads(said)) if said else {}

    def state_of(self, name: str) -> str:
        return str(self.application(name).get("status", {}).get("applicationState", {}).get("state", ""))

    def until(self, what: str, found: Callable[[], object], seconds: float) -> None:
        """Look until it is so; see `Cluster.until`."""
        self.cluster.until(what, found, seconds)

    def wait_for(self, name: str, *states: str, seconds: float = SECONDS) -> None:
        self.until(f"{name} is {' or '.join(states)}", lambda: self.state_of(name) in states, seconds)

    def pods(self, role: str, name: str = "pipeline") -> dict[str, str]:
        """Running pods of an application: the unique id of each by its name."""
        labels = f"spark-role={role},app.kubernetes.io/name={name}"
        found = json.loads(self.kubectl("get", "pods", "-l", labels, "-o", "json").stdout)["items"]
        return {
            each["metadata"]["name"]: each["metadata"]["uid"] for each in found if each["status"]["phase"] == "Running"
        }

    def log(self, name: str) -> str:
        """The log of an application's driver; empty while there is none."""
        return self.kubectl("logs", f"{name}-driver", check=False).stdout

    def on_this_machine(self, path: str) -> Path:
        """Where a file of the pods' state folder is."""
        return self.state / Path(path).relative_to(STATE)

    def table(self, name: str, lake: str = "lake") -> pd.DataFrame:
        return DeltaTable(str(self.state / lake / name)).to_pandas()

    def in_hand(self, query: str, action: Callable[[], "subprocess.Popen[str]"]) -> "subprocess.Popen[str]":
        """Begin to send, and return when the query processes a batch of it."""
        begun = self.batches(query)[0]
        sending = action()
        self.cluster.until("a batch is in hand", lambda: self.batches(query)[0] > begun, 120, look_seconds=0.1)
        return sending

    def assert_arrived(self, *, days: int) -> None:
        """Each reading of the first days is one row, and each of their hours too."""
        rows = BUILDINGS * 24 * days
        for table in ("received_readings", "hourly_usage"):
            self.wait_for_rows(table, rows)
        assert len(self.table("received_readings")) == rows

    def assert_audit_is_clean(self) -> None:
        """Every record of Kafka since the first one is one row: no step before has lost or doubled one."""
        audit = json.loads(self.console("wattcast", "audit", "--json"))
        assert audit["clean"], audit

    def wait_for_rows(self, table: str, count: int) -> None:
        self.until(f"{count} rows are in {table}", lambda: len(self.table(table)) >= count, SECONDS)

    def facts(self, table: str, lake: str = "lake", *, without: str = "") -> pd.DataFrame:
        """All rows of a table in the order of its key, which no two of them share."""
        key = list(contract(table).key)
        found = self.table(table, lake).drop(columns=without or []).sort_values(key, ignore_index=True)
        assert not found.duplicated(key).any()
        return found

    def files(self, table: str) -> int:
        """How many files its newest version has."""
        return len(DeltaTable(str(self.state / "lake" / table)).file_uris())

    def has(self, table: str, measure: str) -> bool:
        """Whether a table of measurements is there and has that measure."""
        folder = str(self.state / "lake" / table)
        return DeltaTable.is_deltatable(folder) and measure in set(self.table(table)["measure"])

    def is_at_rest(self) -> bool:
        """Whether the pipeline processes no batch."""
        return all(ended == begun for begun, ended in map(self.batches, QUERIES))

    def batches(self, query: str) -> tuple[int, int]:
        """The newest batch that a query has begun and the newest that it has ended."""
        folder = self.state / "checkpoints" / query
        begun, ended = (
            max((int(each.name) for each in (folder / kind).glob("[0-9]*")), default=-1)
            for kind in ("offsets", "commits")
        )
        return begun, ended

    def program(self, name: str, code: str, *, driver: Manifest | None = None, secret: str = "") -> None:
        """Run this code as an application of that name, once; with fields of its driver and a further Secret."""
        (self.state / f"{name}.py").write_text(code, encoding="utf-8")
        made = light(manifest(application("backfill"), Target(image=WATTCAST)))
        made["metadata"]["name"] = name
        once = {**made["spec"]["restartPolicy"], "onFailureRetries": 0}  # a submission is tried again
        made["spec"] |= {"mainApplicationFile": f"local://{STATE}/{name}.py", "restartPolicy": once}
        made["spec"]["driver"] |= driver or {}
        if secret:
            container = made["spec"]["driver"]["template"]["spec"]["containers"][0]
            container["envFrom"].append({"secretRef": {"name": secret}})
        self.kubectl("create", "-f", "-", stdin=json.dumps(made))

    def what_is_wrong(self, name: str) -> str:
        """What `wattcast status` reports as wrong with an application; empty if nothing is."""
        said = self.wattcast("status", "--target", "k8s", "--namespace", NAMESPACE, "--json")
        found = {each["name"]: each["wrong"] for each in json.loads(said.stdout)["applications"]}
        return str(found[name] or "")


def light(made: Manifest) -> Manifest:
    """The manifest with small CPU requests: the tests run more at once than the CPUs of the node would admit."""
    spec = made["spec"].get("template", made["spec"])
    for role in ("driver", "executor"):
        spec[role]["coreRequest"] = "50m"
    return made
