"""By hand: `python -m tests.k8s.cluster packages`, `build`, `up`, `kubectl ...`, `run COMMAND...`, `down`, `clean`."""

import shutil
import subprocess
import sys
import time

import typer
from tests.k8s.cluster.build import Images, build_programs, cluster_folder, missing, missing_packages
from tests.k8s.cluster.node import Cluster

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command()
def packages() -> None:
    """Debian packages that are needed and not there."""
    print(*missing_packages())


@app.command()
def build() -> None:
    """Kubernetes, the operator and the images; twenty minutes and 15 GB the first time, a minute after that."""
    if reasons := missing():
        sys.exit("No cluster can be made here: " + "; ".join(reasons) + ".")
    folder = cluster_folder()
    begun = time.monotonic()
    print("Building Kubernetes and the Spark operator from source (10 to 20 minutes the first time)", flush=True)
    build_programs(folder)
    programs = time.monotonic()
    print(f"  {programs - begun:.0f} s\nBuilding the images", flush=True)
    Images(folder).build()
    print(f"  {time.monotonic() - programs:.0f} s", flush=True)


@app.command()
def up() -> None:
    """Start the cluster and give it the images; it runs until `down`."""
    cluster = Cluster(cluster_folder())
    cluster.up()
    for archive in Images(cluster.folder).archives():
        cluster.load(archive)


@app.command()
def down() -> None:
    """End the cluster."""
    Cluster(cluster_folder()).down()


@app.command()
def clean() -> None:
    """End the cluster and give back the disk that all builds took: the next one takes as long as the first."""
    down()
    if cluster_folder().exists():
        shutil.rmtree(cluster_folder())


@app.command(context_settings=PASSED_ON)
def kubectl(context: typer.Context) -> None:
    """kubectl, as an administrator."""
    _run("kubectl", *context.args)


@app.command(context_settings=PASSED_ON)
def run(context: typer.Context) -> None:
    """Any command in the network of the cluster."""
    _run(*context.args)


def _run(*command: str) -> None:
    cluster = Cluster(cluster_folder())
    sys.exit(subprocess.run(cluster.inside(*command), env=cluster.env(), check=False).returncode)


if __name__ == "__main__":
    app()
