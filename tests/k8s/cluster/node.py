"""A Kubernetes of one node that is real in every part, in net, mount and pid namespaces of its own.

It has no way out, so nothing is pulled or looked up elsewhere, and all of it ends with the one process that holds the namespaces.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from tests.k8s.cluster.parts import NODE, SERVER_NAMES, USERS, certificates, write_configuration
from tests.k8s.cluster.usage import Usage

ROOT = Path(__file__).parents[3]
LOOK_SECONDS = 2.0  # most looks start a kubectl, which takes half a second of a processor
CGROUPS = Path("/sys/fs/cgroup")
Completed = subprocess.CompletedProcess[str]


class NotInTime(AssertionError):
    """What was waited for did not come."""


class Cluster:
    """One node, in a folder that has `bin` (build.sh) and gets `run`; its path is short, as Unix sockets lie under it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.run_folder = folder, folder / "run"
        self.kubebox = folder / "bin" / "kubebox"
        self.kubeconfig = certificates(self.run_folder).kubeconfig("admin")
        self._pid_file = self.run_folder / "holder.pid"

    def up(self) -> None:
        """Start it, and wait until a pod could run."""
        self._clean()
        (self.run_folder / "logs").mkdir(parents=True, exist_ok=True)
        certificates(self.run_folder).make(SERVER_NAMES, USERS)
        write_configuration(self.run_folder)
        supervise = [sys.executable, "-m", "tests.k8s.cluster.supervisor", str(self.run_folder), str(self.kubebox)]
        with (self.run_folder / "logs" / "supervisor.log").open("wb") as log:
            holder = subprocess.Popen(
                ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *supervise],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=ROOT,
            )  # fmt: skip
        self._pid_file.write_text(str(holder.pid), encoding="ascii")
        self.until("the API server answers", lambda: self.asked("get", "--raw", "/readyz") == "ok", 120)
        self.until("the default service account is there", lambda: self.asked("get", "serviceaccount", "default"), 60)
        ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        self.until("the node is ready", lambda: self.asked("get", "node", NODE, "-o", ready) == "True", 120)

    def usage(self) -> Usage:
        """Looks from now on at what it takes."""
        if (holder := self._holder()) is None:
            raise AssertionError("the cluster is not up")
        usage = Usage(holder)
        usage.start()
        return usage

    def down(self) -> None:
        """End it; only images stay, for the next time."""
        holder = self._holder()
        if holder is not None:
            os.kill(self._inner(), signal.SIGTERM)
            _, alive = psutil.wait_procs([holder], timeout=30)
            for each in alive:
                each.kill()  # and with it all that is in the namespaces
        self._clean()

    def run(self, *command: str | Path, env: Mapping[str, str] | None = None, stdin: str | None = None) -> Completed:
        """A command in the cluster's network, with the rights of an administrator; files and processes are the caller's."""
        return subprocess.run(
            self.inside(*command), input=stdin, capture_output=True, text=True, check=False, env=self.env(env)
        )

    def inside(self, *command: str | Path) -> list[str]:
        """The command line that runs this in the cluster's network."""
        return ["nsenter", f"--net=/proc/{self._inner()}/ns/net", "--", *map(str, command)]

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        path = f"{self.folder / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return os.environ | {"KUBECONFIG": str(self.kubeconfig), "PATH": path} | dict(more or {})

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> Completed:
        """
        Raises:
            AssertionError: it failed, with what it said.
        """
        done = self.run(self.kubebox, "kubectl", *arguments, stdin=stdin)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def asked(self, *arguments: str) -> str:
        """What kubectl prints; nothing if it fails."""
        return self.kubectl(*arguments, check=False).stdout.strip()

    def load(self, archive: Path) -> None:
        """Give the node an image (OCI archive), unless it has just that one."""
        known = self.folder / "containerd" / f"{archive.stem}.loaded"
        state = f"{archive.stat().st_size} {archive.stat().st_mtime_ns}"
        if not known.is_file() or known.read_text(encoding="ascii") != state:
            self._images("import", "--all-platforms", str(archive))
            known.write_text(state, encoding="ascii")

    def tag(self, image: str, name: str) -> None:
        """Give an image that the node has another name."""
        self._images("tag", "--force", image, name)

    def _images(self, *arguments: str) -> None:
        socket = str(self.run_folder / "containerd.sock")
        subprocess.run(["ctr", "-a", socket, "-n", "k8s.io", "images", *arguments], check=True, capture_output=True)

    def until(
        self, what: str, found: Callable[[], object], seconds: float, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        """Look every `look_seconds` until `found` returns something true.

        Raises:
            NotInTime: it was not within so many seconds.
            AssertionError: the cluster has ended.
        """
        end = time.monotonic() + seconds
        while not found():
            if time.monotonic() > end:
                raise NotInTime(f"{what}: not within {seconds:.0f} s")
            if (holder := self._holder()) is None:
                raise AssertionError(f"{what}: the cluster has ended; see {self.run_folder / 'logs'}")
            with suppress(psutil.TimeoutExpired):
                holder.wait(look_seconds)

    def _inner(self) -> int:
        """Process 1 of the namespaces, as seen from outside."""
        holder = self._holder()
        if holder is None:
            raise AssertionError("the cluster is not up")
        self.until("the supervisor runs", holder.children, 10)
        return int(holder.children()[0].pid)

    def _holder(self) -> psutil.Process | None:
        """The process that holds the namespaces, started by this or by another Python."""
        if not self._pid_file.is_file():
            return None
        try:
            found = psutil.Process(int(self._pid_file.read_text(encoding="ascii")))
            return found if found.name() == "unshare" else None
        except psutil.NoSuchProcess:
            return None

    def _clean(self) -> None:
        for pods in CGROUPS.glob("*/kubepods"):
            for folder, _, _ in os.walk(pods, topdown=False):
                os.rmdir(folder)
        shutil.rmtree(self.run_folder, ignore_errors=True)
