"""In pods a table has one writer by a Lease, with the rights that the manifests give, on a real API server."""

import base64
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TextIO
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import yaml

from wattcast.lake.lease_api import lease_name
from wattcast.settings import project_folder

ACCOUNTS = project_folder("conf").parent / "k8s" / "base" / "accounts.yaml"
HOLDER = Path(__file__).with_name("lease_holder.py")
LAKE, SECONDS = "s3a://lake/tables", 6
OTHER = '{"spec": {"holderIdentity": "pod-b/1"}}'

Kubectl = Callable[..., "CompletedProcess[str]"]


class Pod:
    """A process of lease_holder.py: what it says, its end, and the signals to it."""

    def __init__(self, said: TextIO, ended: "Future[CompletedProcess[str]]") -> None:
        self.said, self._ended = said, ended
        self._pid = int(said.readline())

    def hears(self) -> str:
        """The next thing that it says; nothing when it has ended."""
        return self.said.readline().strip()

    def gets(self, number: signal.Signals) -> None:
        os.kill(self._pid, number)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.gets(signal.SIGKILL)

    def end(self) -> "CompletedProcess[str]":
        return self._ended.result(timeout=60)


@pytest.fixture
def namespace(cluster: Any) -> Iterator[str]:
    name = f"leases-{uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("apply", "-n", name, "-f", ACCOUNTS)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(cluster: Any, namespace: str) -> Kubectl:
    return lambda *arguments: cluster.kubectl("-n", namespace, *arguments)


@pytest.fixture
def pod(cluster: Any, kubectl: Kubectl, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Pod]]:
    """Starts a process as if in a pod of that name, with the account of a driver."""
    known = yaml.safe_load(Path(cluster.kubeconfig).read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    server = urlsplit(known["server"])
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text(kubectl("create", "token", "wattcast-driver").stdout.strip())
    (account / "ca.crt").write_bytes(base64.b64decode(known["certificate-authority-data"]))
    (account / "namespace").write_text(namespace)
    started: list[Pod] = []
    with ThreadPoolExecutor() as threads:

        def start(name: str, *tables: str, lake: str = LAKE) -> Pod:
            said = tmp_path / uuid4().hex
            os.mkfifo(said)
            service = {"HOST": server.hostname, "PORT": server.port}
            environment = [f"HOSTNAME={name}", *(f"KUBERNETES_SERVICE_{key}={value}" for key, value in service.items())]
            command = ["env", *environment, sys.executable, HOLDER, said, account, lake, SECONDS, *tables]
            ended = threads.submit(cluster.run, *map(str, command))
            started.append(Pod(said.open(encoding="utf-8"), ended))
            return started[-1]

        yield start
        for each in started:
            each.kill()


def lease(kubectl: Kubectl, table: str = "hourly_usage", lake: str = LAKE) -> dict[str, Any]:
    return json.loads(kubectl("get", "lease", lease_name(lake, table), "-o", "json").stdout)  # type: ignore[no-any-return]


def test_a_second_writer_is_refused_with_the_name_of_the_first_while_that_lives(pod: Callable[..., Pod]) -> None:
    first = pod("forecast-driver", "forecasts", "query-forecast")
    assert first.hears() == "taken"
    second = pod("backfill-driver", "forecasts")
    assert re.fullmatch(
        rf"refused: forecasts is locked by forecast-driver/\w{{8}}, which works on {LAKE}\. Stop that process first\.",
        second.hears(),
    )
    refused = second.end()
    assert refused.returncode == 1
    waits, says = refused.stderr.splitlines()
    assert re.search(
        r"forecasts is locked by forecast-driver/\w{8}: waiting to see whether that process still runs", waits
    )
    assert says.startswith("forecasts is locked by forecast-driver/")
    first.gets(signal.SIGTERM)
    assert (first.hears(), first.end().returncode) == ("released", 0)


def test_what_is_released_is_taken_at_once(pod: Callable[..., Pod], kubectl: Kubectl) -> None:
    first = pod("pod-a", "hourly_usage")
    assert first.hears() == "taken"
    assert lease(kubectl)["spec"]["holderIdentity"].startswith("pod-a/")
    first.gets(signal.SIGTERM)
    assert first.hears() == "released"
    assert "holderIdentity" not in lease(kubectl)["spec"]
    second = pod("pod-b", "hourly_usage")
    assert second.hears() == "taken"
    second.gets(signal.SIGTERM)
    assert second.end().stderr == ""  # nothing was waited for


def test_all_that_a_killed_process_held_is_taken_after_one_duration(pod: Callable[..., Pod], kubectl: Kubectl) -> None:
    tables = ("forecasts", "hourly_usage", "query-forecast", "query-aggregate")
    first = pod("pod-a", *tables)
    assert first.hears() == "taken"
    first.gets(signal.SIGKILL)
    assert (first.hears(), first.end().returncode) == ("", -signal.SIGKILL)
    renewed = lease(kubectl)["spec"]["renewTime"]
    second = pod("pod-b", *tables)
    assert second.hears() == "taken"
    found = lease(kubectl)["spec"]
    assert found["holderIdentity"].startswith("pod-b/")
    assert found["renewTime"] > renewed
    second.gets(signal.SIGTERM)
    assert second.end().stderr.count("is locked by pod-a/") == 1


def test_who_finds_another_holder_ends_at_once_with_failure(pod: Callable[..., Pod], kubectl: Kubectl) -> None:
    holder = pod("pod-a", "hourly_usage", "forecasts")
    assert holder.hears() == "taken"
    kubectl("patch", "lease", lease_name(LAKE, "forecasts"), "--type=merge", "-p", OTHER)
    assert holder.hears() == ""
    ended = holder.end()
    assert (ended.returncode, ended.stderr) == (1, "forecasts is now locked by pod-b/1: this process ends at once.\n")


def test_a_lease_that_somebody_deleted_is_there_again(pod: Callable[..., Pod], kubectl: Kubectl) -> None:
    holder = pod("pod-a", "hourly_usage")
    assert holder.hears() == "taken"
    kubectl("delete", "lease", lease_name(LAKE, "hourly_usage"))
    kubectl("wait", f"lease/{lease_name(LAKE, 'hourly_usage')}", "--for=create", "--timeout=60s")
    assert lease(kubectl)["spec"]["holderIdentity"].startswith("pod-a/")
    holder.gets(signal.SIGTERM)
    assert (holder.hears(), holder.end().returncode) == ("released", 0)


def test_who_can_no_longer_renew_ends_before_another_may_take_over(pod: Callable[..., Pod], kubectl: Kubectl) -> None:
    holder = pod("pod-a", "hourly_usage")
    assert holder.hears() == "taken"
    kubectl("delete", "rolebinding", "wattcast-driver")
    assert holder.hears() == ""
    ended = holder.end()
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        "The Lease of hourly_usage expires soon: this process ends at once. The Leases in the"
    )
    assert "403 Forbidden" in ended.stderr
    second = pod("pod-b", "hourly_usage")
    assert (second.hears(), second.end().returncode) == ("", 1)
    assert second.end().stderr.count("\n") == 1
    assert "have the rights get, create and update, as in k8s/base/accounts.yaml" in second.end().stderr


def test_a_change_by_another_hand_costs_nothing(pod: Callable[..., Pod], kubectl: Kubectl) -> None:
    holder = pod("pod-a", "hourly_usage")
    assert holder.hears() == "taken"
    name, label = f"lease/{lease_name(LAKE, 'hourly_usage')}", "app.kubernetes.io/part-of"
    kubectl("label", name, f"{label}=mine", "--overwrite")
    path = "{.metadata.labels." + label.replace(".", r"\.") + "}"
    kubectl("wait", name, f"--for=jsonpath={path}=wattcast", "--timeout=60s")  # renewed since
    holder.gets(signal.SIGTERM)
    assert (holder.hears(), holder.end().returncode) == ("released", 0)


def test_two_lakes_do_not_meet(pod: Callable[..., Pod], kubectl: Kubectl) -> None:
    holders = [pod("pod-a", "hourly_usage"), pod("pod-b", "hourly_usage", lake="s3a://lake/other")]
    assert [each.hears() for each in holders] == ["taken", "taken"]
    names = kubectl("get", "leases", "-o", "name").stdout.split()
    assert len(names) == 2
    assert all(re.fullmatch(r"lease\.coordination\.k8s\.io/wattcast-hourly-usage-[0-9a-f]{10}", name) for name in names)
    for each in holders:
        each.gets(signal.SIGTERM)
        assert each.end().returncode == 0
