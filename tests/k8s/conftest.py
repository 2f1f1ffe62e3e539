"""One cluster for all tests that need one; `make test-k8s` builds what it is made of first."""

import os
from collections.abc import Iterator

import pytest
from tests.k8s.cluster.build import Images, build_programs, cluster_folder, missing
from tests.k8s.cluster.node import Cluster


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker("cluster")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A node with all images, the operator not yet installed."""
    if reasons := missing():
        said = f"No cluster can be made here: {'; '.join(reasons)}."
        pytest.fail(said) if os.environ.get("WATTCAST_REQUIRE_K8S") else pytest.skip(said)
    folder = cluster_folder()
    build_programs(folder)
    images = Images(folder)
    images.build()
    made = Cluster(folder)
    made.up()
    try:
        for archive in images.archives():
            made.load(archive)
        yield made
    finally:
        made.down()
