"""Build the image and write its SBOM (CycloneDX) beside it: `python k8s/image.py`, or `make image`."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[1]
EPOCH = "SOURCE_DATE_EPOCH"  # https://reproducible-builds.org/docs/source-date-epoch
ENGINES = ("docker", "podman", "buildah")
# Run in the image: its packages as JSON, each as type, namespace, name, version.
INVENTORY = """
import json, pathlib, subprocess
from importlib.metadata import distributions
debian = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n"], capture_output=True, text=True, check=True)
found = [["deb", "debian", *line.split()] for line in debian.stdout.splitlines()]
found += [["pypi", None, each.metadata["Name"], each.version] for each in distributions()]
found += [["jar", None, each.name, ""] for each in pathlib.Path("/opt/spark/jars").glob("*.jar")]
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Engine:
    """A program that builds images, with the options that it wants before each command."""

    program: str
    options: tuple[str, ...] = ()

    def build(self, name: str, arguments: Mapping[str, str], *more: str) -> None:
        """Build k8s/Dockerfile; its files get the time of the commit. The store of docker keeps the times that they have."""
        given = [f"--build-arg={key}={value}" for key, value in arguments.items() if value]
        if self.program != "docker":
            given.append(f"--timestamp={arguments[EPOCH]}")
        self.run("build", *more, f"--file={ROOT / 'k8s' / 'Dockerfile'}", f"--tag={name}", *given, str(ROOT))

    def python(self, name: str, code: str) -> str:
        """What this code prints in the image."""
        command = ("python3", "-c", code)
        if self.program != "buildah":
            return self.told("run", "--rm", "--network=none", f"--entrypoint={command[0]}", name, *command[1:])
        container = self.told("from", "--pull-never", name)
        try:
            return self.told("run", container, "--", *command)
        finally:
            self.told("rm", container)

    def run(self, *arguments: str) -> None:
        """A command of the program, which prints what it does."""
        subprocess.run([self.program, *self.options, *arguments], check=True)

    def told(self, *arguments: str) -> str:
        """What a command of the program prints."""
        command = [self.program, *self.options, *arguments]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout.strip()


def bill_of_materials(name: str, inventory: str) -> str:
    """The CycloneDX document (JSON) of an image with that inventory."""
    component = Component(type=ComponentType.CONTAINER, name=name, version=version("wattcast"), bom_ref=name)
    bom = Bom(components=_components(json.loads(inventory)))
    bom.metadata.component = component
    bom.register_dependency(component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)


def _components(packages: Iterable[list[str]]) -> list[Component]:
    locked = _locked_jars()
    urls = {str(url): url for url in (_url(locked, *each) for each in packages)}
    return [Component(name=url.name, version=url.version, purl=url, bom_ref=text) for text, url in urls.items()]


def _url(locked: Mapping[str, PackageURL], kind: str, namespace: str, name: str, number: str) -> PackageURL:
    if kind != "jar":
        return PackageURL(kind, namespace, name, number)
    if name in locked:
        return locked[name]
    stem, number = re.split(r"-(?=\d)|$", name.removesuffix(".jar"), maxsplit=1)  # one of Spark's own
    return PackageURL("generic", None, stem, number)


def _locked_jars() -> dict[str, PackageURL]:
    lines = (ROOT / "conf" / "jars.lock").read_text(encoding="utf-8").splitlines()
    jars = [line.split() for line in lines if line and not line.startswith("#")]
    parts = {file: coordinates.split(":") for _, file, coordinates, _ in jars}
    return {file: PackageURL("maven", group, name, number) for file, (group, name, number) in parts.items()}


def main(
    name: Annotated[str, typer.Option(help="Of the image.")] = f"wattcast:{version('wattcast')}",
    base_image: Annotated[str, typer.Option(help="Debian 12, or what is made from it.")] = "",
    torch_index: Annotated[str, typer.Option(help="A package index with the CPU build of torch.")] = "",
    s3: Annotated[bool, typer.Option("--s3", help="With the connector for object stores (0.7 GB).")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the SBOM.")] = Path("dist"),
) -> None:
    """Build the image with docker, podman or buildah, whichever there is, and write its SBOM."""
    program = next((each for each in ENGINES if shutil.which(each)), None)
    if program is None:
        sys.exit(f"To build an image takes one of {', '.join(ENGINES)}: none is there.")
    chosen = {"BASE_IMAGE": base_image, "TORCH_INDEX": torch_index, "JARS": "spark s3" if s3 else ""}
    engine = Engine(program)
    try:
        engine.build(name, about() | chosen)
        document = bill_of_materials(name, engine.python(name, INVENTORY))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{program} could not build the image (exit {error.returncode}).")
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{name.rpartition('/')[2].replace(':', '-')}.cdx.json"
    file.write_text(document, encoding="utf-8")
    print(f"{name} is built; what it is made of is in {file}.")


def about() -> dict[str, str]:
    """What an image of this checkout is labelled with."""
    return {
        "VERSION": version("wattcast"),
        "REVISION": _git("rev-parse", "HEAD"),
        EPOCH: _git("log", "-1", "--format=%ct"),
    }


def _git(*arguments: str) -> str:
    command = [shutil.which("git") or "git", *arguments]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    typer.run(main)
