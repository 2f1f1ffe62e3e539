"""Which locks protect a lake from here: Leases in a pod, else files of this machine."""

import os
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from wattcast.lake.file_locks import FileLocks
from wattcast.lake.halt import end_process, halt_jvm
from wattcast.lake.lease_api import LeaseApi
from wattcast.lake.leases import Leases
from wattcast.lake.locks import LakeLocks, ThreadLocks, UnsafeLake, lock_refusal
from wattcast.settings import S3_SCHEMES, Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # of a pod, where it has one
LEASE_SECONDS = 30
SINGLE_DRIVER = "S3SingleDriverLogStore"  # Delta's own for S3: it keeps the order of commits within one JVM only


def lake_locks(spark: "SparkSession", settings: Settings) -> LakeLocks:
    """The locks of a lake for one Spark application, chosen at the first lock. A lost Lease ends the process and its JVM."""

    def choose() -> ThreadLocks:
        scheme = urlparse(settings.lake_uri).scheme
        commit_store = spark.conf.get(f"spark.delta.logStore.{scheme}.impl", "") if scheme else ""
        end = partial(end_process, halt=partial(halt_jvm, spark))
        return choose_locks(settings, commit_store=commit_store or "", end=end)

    return LakeLocks(choose)


def choose_locks(
    settings: Settings,
    *,
    commit_store: str = "",
    end: Callable[[str], None] = end_process,
    account: Path = ACCOUNT,
    lease_seconds: int = LEASE_SECONDS,
) -> ThreadLocks:
    """The locks of a lake. `commit_store` is the class that Delta commits with, if one is set; `end` ends this process at once
    when a Lease is lost.

    Raises:
        UnsafeLake: only files of this machine are available, and other machines could write the lake.
    """
    is_in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and (account / "token").is_file()
    if settings.locks == "auto" and is_in_pod:
        return ThreadLocks(_leases(settings.lake_uri, account, end, lease_seconds))
    uri = urlparse(settings.lake_uri)
    has_commit_store = bool(commit_store) and not commit_store.endswith(SINGLE_DRIVER)
    if settings.locks == "auto" and uri.scheme in S3_SCHEMES and not has_commit_store:
        raise UnsafeLake(
            f"This process cannot write {settings.lake_uri} safely: on S3 two writers could lose each other's commits. Run in a "
            f"pod on Kubernetes, set a commit store (spark.delta.logStore.{uri.scheme}.impl), or, if no other machine writes "
            "there, set WATTCAST_LOCKS=machine."
        )
    is_local = uri.scheme in ("", "file")
    folder = Path(uri.path, ".locks") if is_local else settings.state.resolve() / "locks"
    return ThreadLocks(FileLocks(folder, settings.lake_uri))


def _leases(lake: str, account: Path, end: Callable[[str], None], lease_seconds: int) -> Leases:
    from kubernetes.client import ApiClient, Configuration, CoordinationV1Api
    from kubernetes.config.incluster_config import InClusterConfigLoader

    configuration = Configuration()
    InClusterConfigLoader(str(account / "token"), str(account / "ca.crt")).load_and_set(configuration)
    configuration.retries = False  # the renewing thread counts the seconds itself
    namespace = (account / "namespace").read_text(encoding="utf-8").strip()
    client = CoordinationV1Api(ApiClient(configuration))
    api = LeaseApi(client, namespace=namespace, lake=lake, lease_seconds=lease_seconds)
    holder = os.environ.get("HOSTNAME") or platform.node()
    return Leases(
        api, holder=holder, lease_seconds=lease_seconds, end=end,
        refusal=lambda name, lease: lock_refusal(name, lease.holder_identity, lake),
    )  # fmt: skip
