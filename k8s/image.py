"""Build the image and write its bill of materials (CycloneDX): `python k8s/image.py`, or `make image`."""

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
# Runs in the image and prints its packages as JSON: type, namespace, name and version of each.
INVENTORY = """
import json, pathlib, subprocess
from importlib.metadata import distributions
debian = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Version}\\n"], capture_output=True, text=True, check=True)
packages = [["deb", "debian", *line.split()] for line in debian.stdout.splitlines()]
packages += [["pypi", None, package.metadata["Name"], package.version] for package in distributions()]
packages += [["jar", None, jar.name, ""] for jar in pathlib.Path("/opt/spark/jars").glob("*.jar")]
print(json.dumps(packages))
"""


@dataclass(frozen=True)
class Engine:
    """A program that builds images, with the options that come before each of its commands."""

    program: str
    options: tuple[str, ...] = ()

    def build(self, name: str, arguments: Mapping[str, str], *more: str) -> None:
        """Build k8s/Dockerfile. The files of the image get the time of the commit, except with docker. Version and commit are
        options, too: buildah takes the label of an earlier commit from its cache where the files are the same."""
        options = [f"--build-arg={key}={value}" for key, value in arguments.items() if value]
        options += [
            f"--label=org.opencontainers.image.{key.lower()}={arguments[key]}" for key in ("VERSION", "REVISION")
        ]
        if self.program != "docker":
            options.append(f"--timestamp={arguments[EPOCH]}")
        self.run("build", *more, f"--file={ROOT / 'k8s' / 'Dockerfile'}", f"--tag={name}", *options, str(ROOT))

    def python(self, name: str, code: str) -> str:
        """The output of this Python code, run in the image."""
        command = ("python3", "-c", code)
        if self.program != "buildah":
            return self.output("run", "--rm", "--network=none", f"--entrypoint={command[0]}", name, *command[1:])
        container = self.output("from", "--pull-never", name)
        try:
            return self.output("run", container, "--", *command)
        finally:
            self.output("rm", container)

    def run(self, *arguments: str) -> None:
        """Run a command of the program; its output goes to the terminal."""
        subprocess.run([self.program, *self.options, *arguments], check=True)

    def output(self, *arguments: str) -> str:
        """The standard output of a command of the program."""
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
    urls = {str(url): url for url in (_url(locked, *package) for package in packages)}
    return [Component(name=url.name, version=url.version, purl=url, bom_ref=text) for text, url in urls.items()]


def _url(locked: Mapping[str, PackageURL], kind: str, namespace: str, name: str, number: str) -> PackageURL:
    if kind != "jar":
        return PackageURL(kind, namespace, name, number)
    if name in locked:
        return locked[name]
    stem, number = re.split(r"-(?=\d)|$", name.removesuffix(".jar"), maxsplit=1)  # a jar of Spark itself
    return PackageURL("generic", None, stem, number)


def _locked_jars() -> dict[str, PackageURL]:
    lines = (ROOT / "conf" / "jars.lock").read_text(encoding="utf-8").splitlines()
    jars = [line.split() for line in lines if line and not line.startswith("#")]
    parts = {file: coordinates.split(":") for _, file, coordinates, _ in jars}
    return {file: PackageURL("maven", group, name, number) for file, (group, name, number) in parts.items()}


def main(
    name: Annotated[str, typer.Option(help="Name and tag of the image.")] = f"wattcast:{version('wattcast')}",
    base_image: Annotated[str, typer.Option(help="Debian 12, or an image based on it.")] = "",
    torch_index: Annotated[
        str, typer.Option(help="Package index with the CPU build of torch. Default: PyPI, with the CUDA build.")
    ] = "",
    s3: Annotated[bool, typer.Option("--s3", help="Include the connector for object stores (0.7 GB).")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the bill of materials.")] = Path("dist"),
) -> None:
    """Build the image with docker, podman or buildah, and write its bill of materials.

    Uses the first of these programs that is installed.
    """
    program = next((name for name in ENGINES if shutil.which(name)), None)
    if program is None:
        sys.exit(f"No program to build images is on the PATH: install one of {', '.join(ENGINES)}.")
    options = {"BASE_IMAGE": base_image, "TORCH_INDEX": torch_index, "JARS": "spark s3" if s3 else ""}
    engine = Engine(program)
    try:
        engine.build(name, image_labels() | options)
        document = bill_of_materials(name, engine.python(name, INVENTORY))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{program} could not build the image (exit {error.returncode}).")
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{name.rpartition('/')[2].replace(':', '-')}.cdx.json"
    file.write_text(document, encoding="utf-8")
    print(f"Built {name}; its bill of materials is {file}.")


def image_labels() -> dict[str, str]:
    """Build arguments with version, commit and time of this checkout."""
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
