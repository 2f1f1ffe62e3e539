"""An environment that is deployed in the test cluster, as a test sees it."""

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

from wattcast.deploy.applications import STATE, application
from wattcast.deploy.manifests import Manifest, Target, manifest

OVERLAY = Path(__file__).parent / "overlay"
CONSOLE = ROOT / "k8s" / "console.yaml"
NAMESPACE = "wattcast-dev"
TRIAL = "wattcast-trial"  # for what is deployed without a pod
SECONDS = 240


@dataclass(frozen=True)
class Live:
    """Its cluster, and the folder of this machine that is the state folder of its pods."""

    cluster: Cluster
    state: Path

    def wattcast(self, *arguments: str) -> Completed:
        """The command, as an operator runs it on a machine that reaches the cluster."""
        return self.cluster.run("wattcast", *arguments)

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> Completed:
        return self.cluster.kubectl("--namespace", NAMESPACE, *arguments, check=check, stdin=stdin)

    def new_console(self, image: str) -> None:
        """Put the pod to work in there, in the place of one that is there."""
        pod = yaml.safe_load(CONSOLE.read_text(encoding="utf-8"))
        pod["spec"]["containers"][0]["image"] = image
        self.kubectl("delete", "pod", "console", "--ignore-not-found", "--grace-period=0", "--force")
        self.kubectl("create", "-f", "-", stdin=json.dumps(pod))
        self.kubectl("wait", "--for=condition=Ready", "pod/console", "--timeout=120s")

    def console(self, *command: str) -> str:
        """What a command prints in the pod that is there to work in.

        Raises:
            AssertionError: it failed, with what it said.
        """
        return self.kubectl("exec", "console", "--", *command).stdout

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
        """What the driver of an application has written; nothing while there is none."""
        return self.kubectl("logs", f"{name}-driver", check=False).stdout

    def on_this_machine(self, path: str) -> Path:
        """Where a file of the pods' state folder is."""
        return self.state / Path(path).relative_to(STATE)

    def table(self, name: str, lake: str = "lake") -> pd.DataFrame:
        return DeltaTable(str(self.state / lake / name)).to_pandas()

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
        made = manifest(application("backfill"), Target(image=WATTCAST))
        made["metadata"]["name"] = name
        once = {**made["spec"]["restartPolicy"], "onFailureRetries": 0}  # a submission is tried again
        made["spec"] |= {"mainApplicationFile": f"local://{STATE}/{name}.py", "restartPolicy": once}
        made["spec"]["driver"] |= driver or {}
        if secret:
            container = made["spec"]["driver"]["template"]["spec"]["containers"][0]
            container["envFrom"].append({"secretRef": {"name": secret}})
        self.kubectl("create", "-f", "-", stdin=json.dumps(made))

    def what_is_wrong(self, name: str) -> str:
        """What `wattcast status` says of an application; nothing if all is well."""
        said = self.wattcast("status", "--target", "k8s", "--namespace", NAMESPACE, "--json")
        found = {each["name"]: each["wrong"] for each in json.loads(said.stdout)["applications"]}
        return str(found[name] or "")
