"""The lake in an S3 server, by settings alone. Runs after test_live, whose readings are still in Kafka."""

import subprocess
from collections.abc import Iterator

import pytest
from tests.k8s.cluster.build import WATTCAST, build_object_store
from tests.k8s.cluster.node import Cluster
from tests.k8s.cluster.parts import NODE_IP
from tests.k8s.live import BUILDINGS, OVERLAY, Live

# Look into the lake of the console's settings until so many buildings have forecasts, or so many seconds have passed.
WAIT_FOR_FORECASTS = """
import sys, time
from wattcast.lake.reader import TableUnreadable, table
from wattcast.settings import settings

def buildings():
    try:
        forecasts = table(settings().lake_uri, "forecasts")
    except TableUnreadable:
        return 0  # it is not created yet
    return len(forecasts.to_table(columns=["building_id"])["building_id"].unique())

end = time.monotonic() + float(sys.argv[2])
while buildings() < int(sys.argv[1]):
    if time.monotonic() > end:
        sys.exit("The forecasts did not come in time.")
    time.sleep(2)
"""


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
    readings.console("python3", "-c", WAIT_FOR_FORECASTS, str(BUILDINGS), "420")
    query = "SELECT count(DISTINCT building_id) AS buildings, count(*) AS forecasts FROM forecasts"
    assert f" {BUILDINGS} " in readings.console("wattcast", "sql", query)
