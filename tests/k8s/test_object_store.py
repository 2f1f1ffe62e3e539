"""The lake in an S3 server, by settings alone. It comes after test_live: readings wait in Kafka for whoever reads them anew."""

import subprocess
from collections.abc import Iterator

import pytest
from tests.k8s.cluster.build import WATTCAST, build_object_store
from tests.k8s.cluster.node import Cluster
from tests.k8s.cluster.parts import NODE_IP
from tests.k8s.live import BUILDINGS, OVERLAY, Live


@pytest.fixture(scope="module")
def object_store(cluster: Cluster) -> Iterator[None]:
    """An S3 server at the address of the overlay, with a bucket."""
    address = ("-H", NODE_IP, "-p", "9000")
    log = (cluster.run_folder / "logs" / "object-store.log").open("wb")
    with log, subprocess.Popen(
        cluster.inside(build_object_store(cluster.folder), *address), stdout=log, stderr=log
    ) as server:  # fmt: skip
        bucket = ("curl", "-sf", "-X", "PUT", f"http://{NODE_IP}:9000/wattcast")
        cluster.until("the object store answers", lambda: cluster.run(*bucket).returncode == 0, 60)
        yield
        server.terminate()


def test_pipeline_moves_its_lake_into_an_object_store(readings: Live, object_store: None) -> None:
    keys = ("--from-literal=AWS_ACCESS_KEY_ID=user", "--from-literal=AWS_SECRET_ACCESS_KEY=secret")
    readings.kubectl("create", "secret", "generic", "lake-creds", *keys)
    (before,) = readings.pods("driver").values()
    done = readings.wattcast("deploy", f"{OVERLAY}-s3", "--image", WATTCAST)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(readings.pods("driver").values()) != {before}
    readings.new_console(WATTCAST)
    query = ("wattcast", "sql", "SELECT count(DISTINCT building_id) AS buildings, count(*) AS forecasts FROM forecasts")

    def forecasts() -> str:
        """What SQL says; nothing while the tables are being made."""
        return readings.kubectl("exec", "console", "--", *query, check=False).stdout

    readings.until("forecasts are in the object store", lambda: f" {BUILDINGS} " in forecasts(), 420)
