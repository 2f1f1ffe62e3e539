"""Debian's Prometheus over real metrics, with the rules of k8s/monitoring."""

import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml

MONITORING = Path(__file__).parents[3] / "k8s/monitoring"

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="needs prometheus: apt-get install prometheus"
)


@contextmanager
def prometheus(
    folder: Path, *targets: str, key_file: Path | None = None, rules: Path = MONITORING / "rules.yaml"
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Debian's Prometheus with the rules of k8s/monitoring, or others, scraping each of `targets` (host:port) every second, with
    this key if they want one: its address and process."""
    port = free_port()
    job = {"job_name": "wattcast", "scrape_interval": "1s", "static_configs": [{"targets": list(targets)}]}
    scraped = [job | ({"authorization": {"credentials_file": str(key_file)}} if key_file else {})]
    config = {
        "global": {"evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": scraped,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    server = subprocess.Popen(
        ["prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.kill()
        server.wait()


def firing(server: str) -> set[tuple[str, str]]:
    """Rule and subject of the alerts that fire there; none while it does not answer yet."""
    try:
        with urllib.request.urlopen(f"{server}/api/v1/alerts", timeout=5) as answer:
            found = json.load(answer)["data"]["alerts"]
    except OSError:
        return set()
    return {(each["labels"]["rule"], each["labels"].get("subject", "")) for each in found if each["state"] == "firing"}


def values(server: str, query: str) -> dict[str, float]:
    """What a query of PromQL finds: the value of each series by its labels, as JSON; nothing while it does not answer."""
    try:
        with urllib.request.urlopen(f"{server}/api/v1/query?{urlencode({'query': query})}", timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
    except OSError:
        return {}
    return {json.dumps(each["metric"], sort_keys=True): float(each["value"][1]) for each in found}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def up(server: str) -> int:
    """How many targets it scrapes with success."""
    try:
        with urllib.request.urlopen(f"{server}/api/v1/targets", timeout=5) as answer:
            found = json.load(answer)["data"]["activeTargets"]
    except OSError:
        return 0
    return sum(each["health"] == "up" for each in found)
