"""Java jars of the embedded broker and of Spark's connectors: fetched once and checked against conf/jars.lock."""

import hashlib
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import quoteattr

from wattcast.embedded.preflight import check_java, java_executable
from wattcast.errors import FAILED
from wattcast.settings import cache_folder, project_folder

JarSet = Literal["broker", "s3", "spark"]
SETS: tuple[JarSet, ...] = ("broker", "s3", "spark")
FETCH_TIMEOUT_SECONDS = 900
# By set, whether transitive dependencies are fetched too, and the modules. Spark's jars/ folder has most dependencies.
SOURCES: dict[JarSet, tuple[bool, tuple[str, ...]]] = {
    "broker": (True, ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")),
    "s3": (
        False,
        (
            "org.apache.hadoop:hadoop-aws:3.5.0",  # of the Hadoop that Spark ships
            "org.wildfly.openssl:wildfly-openssl:2.2.5.Final",
            "software.amazon.awssdk:bundle:2.35.4",
            "software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3:1.3.1",
        ),
    ),
    "spark": (
        False,
        (
            "io.delta:delta-spark_4.2_2.13:4.4.0",
            "io.delta:delta-storage:4.4.0",
            "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0",
            "org.apache.spark:spark-token-provider-kafka-0-10_2.13:4.2.0",
            "org.apache.kafka:kafka-clients:3.9.2",
            "org.apache.commons:commons-pool2:2.13.1",
        ),
    ),
}
RETRIEVE_PATTERN = "[organisation]/[module]/[revision]/[artifact]-[revision].[ext]"


class JarsUnavailable(Exception):
    """A jar is missing in the cache and cannot be fetched, or differs from the lock."""

    exit_status = FAILED


@dataclass(frozen=True, order=True)
class Jar:
    """A line of conf/jars.lock."""

    set: str
    file: str
    coordinates: str  # organisation:module:revision
    sha256: str


def jars(name: JarSet) -> list[Path]:
    """Paths of the jars of a set in the cache; missing jars are fetched from Maven Central first.

    If two processes need them at once, one fetches and the other waits.

    Raises:
        JarsUnavailable: a jar cannot be fetched, or differs from the lock.
    """
    from filelock import FileLock

    folder = cache_folder("jars") / name
    jar_set = [jar for jar in locked_jars() if jar.set == name]
    folder.mkdir(parents=True, exist_ok=True)
    if any(not (folder / jar.file).is_file() for jar in jar_set):
        with FileLock(folder / ".lock"):
            _fetch([jar for jar in jar_set if not (folder / jar.file).is_file()], folder)
    for jar in jar_set:
        _check(folder / jar.file, jar)
    return [folder / jar.file for jar in jar_set]


def spark_has(name: JarSet) -> bool:
    """Whether a set is in Spark's own folder, as in the image for Kubernetes."""
    return all((_pyspark() / "jars" / jar.file).is_file() for jar in locked_jars() if jar.set == name)


def locked_jars() -> list[Jar]:
    """Every jar of conf/jars.lock."""
    lines = (project_folder("conf") / "jars.lock").read_text(encoding="utf-8").splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def write_lock() -> None:
    """Resolve SOURCES and pin the result in conf/jars.lock."""
    lock = project_folder("conf") / "jars.lock"
    head = [line for line in lock.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    lines = [" ".join((jar.set, jar.file, jar.coordinates, jar.sha256)) for name in SETS for jar in _resolved(name)]
    lock.write_text("\n".join([*head, *lines]) + "\n", encoding="utf-8")


def _resolved(name: JarSet) -> list[Jar]:
    transitive, coordinates = SOURCES[name]
    with tempfile.TemporaryDirectory() as scratch:
        retrieve(coordinates, Path(scratch), transitive=transitive)
        paths = Path(scratch).glob("[!.]*/*/*/*.jar")
        return sorted(Jar(name, path.name, ":".join(path.parts[-4:-1]), _sha256(path)) for path in paths)


def _fetch(missing: list[Jar], folder: Path) -> None:
    """Fetch jars into `folder`. A jar gets its name only when it is complete and matches the lock."""
    if not missing:
        return  # another process fetched them while this one waited
    from rich.console import Console

    message = f"Fetching {len(missing)} jars from Maven Central (once, into {folder})"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch, Console(stderr=True).status(message):
        retrieve([jar.coordinates for jar in missing], Path(scratch), transitive=False)
        for jar in missing:
            organisation, module, revision = jar.coordinates.split(":")
            fetched = Path(scratch, organisation, module, revision, jar.file)
            if not fetched.is_file():
                raise JarsUnavailable(f"Maven Central has no {jar.file} of {jar.coordinates}. Check conf/jars.lock.")
            _check(fetched, jar)
            fetched.replace(folder / jar.file)


def retrieve(coordinates: Iterable[str], folder: Path, *, transitive: bool) -> None:
    """Fetch modules into `folder` by RETRIEVE_PATTERN, with the Ivy that pyspark ships and without a shared cache."""
    check_java()
    dependencies = "\n".join(
        f"<dependency org={quoteattr(organisation)} name={quoteattr(module)} rev={quoteattr(revision)} "
        f'transitive="{str(transitive).lower()}" conf="default-&gt;{"default" if transitive else "master"}"/>'
        for organisation, module, revision in (module.split(":") for module in coordinates)
    )
    module_file = folder / "ivy.xml"
    module_file.write_text(
        '<ivy-module version="2.0"><info organisation="wattcast" module="jars"/>'
        f"<configurations><conf name='default'/></configurations>"
        f"<dependencies>{dependencies}</dependencies></ivy-module>"
    )
    options = ["-cache", str(folder / ".ivy"), "-ivy", str(module_file), "-confs", "default", "-types", "jar", "bundle"]
    command = [
        java_executable(), f"-Divy.default.ivy.user.dir={folder / '.user'}", "-jar", str(_ivy_jar()), *options,
        "-retrieve", f"{folder}/{RETRIEVE_PATTERN}",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_SECONDS, check=False, cwd=folder
        )
    except subprocess.TimeoutExpired as error:
        raise JarsUnavailable(
            f"Maven Central did not send the jars within {FETCH_TIMEOUT_SECONDS} s. Try again."
        ) from error
    if done.returncode or "UNRESOLVED DEPENDENCIES" in done.stdout:
        raise JarsUnavailable(
            f"Java jars are missing in {cache_folder('jars')} and could not be fetched from Maven Central "
            "(is this machine offline?): run `wattcast jars` once with a connection, "
            "or copy that folder from a machine that has it."
        )


def _ivy_jar() -> Path:
    ivy_jars = sorted(_pyspark().glob("jars/ivy-*.jar"))
    if not ivy_jars:
        raise JarsUnavailable("pyspark has no jars/ivy-*.jar. Reinstall it (`pip install --force-reinstall pyspark`).")
    return ivy_jars[-1]


def _pyspark() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise JarsUnavailable("pyspark is not installed. Reinstall wattcast.")
    return Path(spec.origin).parent


def _check(path: Path, jar: Jar) -> None:
    """Remove a file that differs from the lock. Raises JarsUnavailable."""
    sha256 = _sha256(path)
    if sha256 != jar.sha256:
        path.unlink()
        raise JarsUnavailable(
            f"{jar.file} is damaged or differs from conf/jars.lock (sha256 {sha256}, expected {jar.sha256}). "
            "It was removed; the next run fetches it again."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    write_lock()
