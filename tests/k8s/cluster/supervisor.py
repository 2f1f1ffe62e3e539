"""Process 1 of the namespaces of a cluster: `python -m tests.k8s.cluster.supervisor RUN KUBEBOX`. All ends with it."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests.k8s.cluster.parts import API_IP, DNS_IP, NODE_IP, Part, certificates, parts

POLL_SECONDS = 0.2
GRACE_SECONDS = 2  # a cluster that is thrown away need not end gracefully
FIXED_PLACES = ("/run", "/opt", "/var/log", "/var/lib/cni")  # what programs write there stays in the mount namespace


def main(run: Path, kubebox: Path) -> None:
    """Set the network up, start the parts, start again what ends, until SIGTERM. Its end is that of all in the namespace."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    network()
    for folder in FIXED_PLACES:
        Path(folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    subprocess.run(["mount", "--bind", run / "resolv.conf", "/etc/resolv.conf"], check=True)
    answers: dict[str, Callable[[], bool]] = {"etcd": etcd_answers, "kube-apiserver": lambda: api_answers(run)}
    running: dict[int, Part] = {}
    for part in parts(run, kubebox):
        while part.after and not stop.is_set() and not answers[part.after]():
            stop.wait(POLL_SECONDS)
        running[start(part, run)] = part
    while not stop.wait(POLL_SECONDS):
        pid, status = os.waitpid(-1, os.WNOHANG)
        if part := running.pop(pid, None):
            print(f"{part.name} ended with {os.waitstatus_to_exitcode(status)}: again", flush=True)
            running[start(part, run)] = part
    for pid in reversed(running):
        os.kill(pid, signal.SIGTERM)
    threading.Event().wait(GRACE_SECONDS)


def network() -> None:
    """A bridge for the pods, which is also where everything unknown goes: there is no way out."""
    for arguments in (
        "link set lo up",
        f"addr add {API_IP}/32 dev lo",
        f"addr add {DNS_IP}/32 dev lo",
        "link add br0 type bridge",
        f"addr add {NODE_IP}/24 dev br0",
        "link set br0 up",
        "route add default dev br0",
    ):
        subprocess.run(["ip", *arguments.split()], check=True)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")


def start(part: Part, run: Path) -> int:
    with (run / "logs" / f"{part.name}.log").open("ab") as log:
        return subprocess.Popen(
            part.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=run, process_group=0
        ).pid


def etcd_answers() -> bool:
    try:
        socket.create_connection(("127.0.0.1", 2379), timeout=1).close()
    except OSError:
        return False
    return True


def api_answers(run: Path) -> bool:
    pki = certificates(run)
    context = ssl.create_default_context(cafile=str(pki.authority))
    context.load_cert_chain(pki.certificate("admin"), pki.key("admin"))
    try:
        with urllib.request.urlopen(f"https://{API_IP}/readyz", context=context, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
