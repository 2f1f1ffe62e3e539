"""What the cluster is made of: Kubernetes and the operator from their Go modules, and images without a registry."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from k8s.image import EPOCH, Engine, image_labels

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[3]
KUBERNETES = "v1.37.2"
OPERATOR = "github.com/kubeflow/spark-operator/v2"
PACKAGES = {  # what is looked for, and the Debian package that brings it
    "buildah": "buildah",
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "conntrack": "conntrack",
    "curl": "curl",
    "ip": "iproute2",
    "iptables": "iptables",
    "openssl": "openssl",
    "runc": "runc",
    "/usr/bin/busybox": "busybox-static",
}
CACHED = ("--quiet", "--layers", "--pull-never")
VERSION_PACKAGE = "k8s.io/component-base/version"
PROGRAMS = {  # name: its package in the Go module of the same name's folder, and what the linker is told
    "kubebox": (
        ".",
        f"-X {VERSION_PACKAGE}.gitVersion={KUBERNETES} -X {VERSION_PACKAGE}.gitMajor=1 -X {VERSION_PACKAGE}.gitMinor=37",
    ),
    "spark-operator": (".", ""),
    "helm": ("helm.sh/helm/v3/cmd/helm", ""),
}
DEBIAN, PAUSE, STAND_INS = "localhost/debian:bookworm", "localhost/pause:1", "localhost/stand-ins:1"
WATTCAST = f"localhost/wattcast:{version('wattcast')}"
NEXT = f"{WATTCAST}-next"  # the same under another name, to be rolled out


def cluster_folder() -> Path:
    """$WATTCAST_K8S_CACHE, or wattcast/k8s in the user's cache. A short path: Unix sockets lie under it."""
    if own := os.environ.get("WATTCAST_K8S_CACHE"):
        return Path(own).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wattcast" / "k8s"


def missing() -> list[str]:
    """Why no cluster can be made on this machine, a sentence each."""
    said = []
    if os.getuid() != 0:
        said.append("containers are made by root: this user is not")
    elif subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode:
        said.append("this machine lets no namespaces be made (a container without CAP_SYS_ADMIN?)")
    if absent := missing_packages():
        said.append(f"Debian packages are missing: apt-get install {' '.join(absent)}")
    if not shutil.which("go"):
        said.append("Go 1.26 or newer is missing")
    return said


def missing_packages() -> list[str]:
    """Debian packages that bring what is not there."""
    return sorted(package for looked_for, package in PACKAGES.items() if not shutil.which(looked_for))


def build_programs(folder: Path) -> None:
    """Kubernetes, the operator and helm into `folder`/bin; minutes the first time, seconds once Go's cache has them."""
    environment = os.environ | {"GOFLAGS": "-p=2 -buildvcs=false -mod=readonly", "CGO_ENABLED": "0"}
    for name, (package, linked) in PROGRAMS.items():
        command = ["go", "build", "-trimpath", "-ldflags", f"-s -w {linked}", "-o", str(folder / "bin" / name), package]
        _run(command, cwd=HERE / name, env=environment)
    link = folder / "bin" / "kubectl"
    if not link.is_symlink():
        link.symlink_to("kubebox")


def build_object_store(folder: Path) -> Path:
    """The program of moto's S3 server, in an environment of its own as it wants older packages than Wattcast."""
    made = folder / "object-store"
    if not (made / "bin" / "moto_server").is_file():
        _run([sys.executable, "-m", "venv", "--clear", str(made)])
        _run([str(made / "bin" / "pip"), "install", "--quiet", "-r", str(HERE / "object-store.lock")])
    return made / "bin" / "moto_server"


def operator_chart() -> Path:
    """The chart in the operator's own module."""
    listed = _run(["go", "list", "-m", "-f", "{{.Dir}}", OPERATOR], cwd=HERE / "spark-operator")
    return Path(listed.strip(), "charts", "spark-operator-chart")


@dataclass(frozen=True)
class Images:
    """Images as archives in `folder`/images, by Debian's buildah on a base that debootstrap makes.

    It isolates by chroot (BUILDAH_ISOLATION), since a container in a container could not be made.
    """

    folder: Path

    @property
    def engine(self) -> Engine:
        return Engine("buildah", (f"--root={self.folder / 'store'}", f"--runroot={self.folder / 'store-run'}"))

    def build(self) -> None:
        """Those that the cluster needs; what has not changed since the last time is not built again."""
        os.environ["BUILDAH_ISOLATION"] = "chroot"
        (self.folder / "images").mkdir(parents=True, exist_ok=True)
        self._debian()
        self._pause()
        self._wattcast()
        self._stand_ins()
        self.engine.output("rm", "--all")  # a build that copies from another image leaves a container of that

    def archives(self) -> list[Path]:
        """What `build` made."""
        return sorted((self.folder / "images").glob("*.tar"))

    def _wattcast(self) -> None:
        """The project's own Dockerfile, as it is, with the connector for object stores."""
        wheels = os.environ.get("PIP_FIND_LINKS", "")
        volume = [f"--volume={wheels}:/wheels:ro"] if Path(wheels).is_dir() else []
        torch = {"TORCH_INDEX": os.environ.get("PIP_EXTRA_INDEX_URL", "")}
        self.engine.build(WATTCAST, labels() | torch | {"BASE_IMAGE": DEBIAN, "JARS": "spark s3"}, *CACHED, *volume)
        self._archive(WATTCAST)

    def _debian(self) -> None:
        """Debian as an image of a registry would have it, with the certificates that this machine trusts."""
        if self._id(DEBIAN):
            return
        root = self.folder / "debian"
        if not (root / "usr").is_dir():
            _run(["debootstrap", "--variant=minbase", DEBIAN.partition(":")[2], str(root)])
        own, trusted = Path("/usr/local/share/ca-certificates"), root / "usr/local/share/ca-certificates"
        if own.is_dir():
            shutil.copytree(own, trusted, dirs_exist_ok=True)
        (root / "etc" / "pip.conf").write_text(
            "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\nfind-links = /wheels\n", encoding="utf-8"
        )
        container = self.engine.output("from", "scratch")
        self.engine.output("add", "--quiet", container, str(root), "/")
        self.engine.output("commit", "--quiet", "--rm", container, DEBIAN)

    def _pause(self) -> None:
        """What holds the namespaces of a pod: a program that sleeps."""
        if not self._id(PAUSE):
            container = self.engine.output("from", "scratch")
            self.engine.output("copy", "--quiet", container, "/usr/bin/busybox", "/bin/sleep")
            self.engine.output("config", "--entrypoint", '["/bin/sleep", "2147483647"]', container)
            self.engine.output("commit", "--quiet", "--rm", container, PAUSE)
        self._archive(PAUSE)

    def _stand_ins(self) -> None:
        from wattcast.embedded.jars import jars

        context, java = self.folder / "stand-ins", "localhost/debian-java:1"
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(jars("broker")[0].parent, context / "broker")
        (context / "bin").mkdir()
        shutil.copy2(self.folder / "bin" / "spark-operator", context / "bin")
        self.engine.build(java, labels() | {"BASE_IMAGE": DEBIAN}, *CACHED, "--target=base")
        given = (f"--build-arg=BASE_IMAGE={java}", f"--build-arg=WATTCAST={WATTCAST}", f"--tag={STAND_INS}")
        self.engine.output("build", *CACHED, f"--file={HERE / 'stand-ins.Dockerfile'}", *given, str(context))
        self._archive(STAND_INS)

    def _archive(self, name: str) -> None:
        """As containerd takes it; the layers as they are, since to compress them takes longer than all the rest."""
        archive, made_of = (self.folder / "images" / f"{_file(name)}.{end}" for end in ("tar", "id"))
        identity = self._id(name)
        if archive.is_file() and made_of.is_file() and made_of.read_text(encoding="ascii") == identity:
            return
        archive.unlink(missing_ok=True)
        self.engine.output("push", "--quiet", name, f"docker-archive:{archive}:{name}")
        made_of.write_text(identity, encoding="ascii")

    def _id(self, name: str) -> str:
        return self.engine.output("images", "--quiet", "--no-trunc", "--filter", f"reference={name}")


def labels() -> dict[str, str]:
    """Those of this checkout, with one time for all commits: another time would build every layer again."""
    return image_labels() | {EPOCH: "0"}


def _file(name: str) -> str:
    return name.rpartition("/")[2].replace(":", "-")


def _run(command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:6])} ... failed:\n{done.stderr[-3000:]}")
    return done.stdout
