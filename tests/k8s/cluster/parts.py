"""The parts of the cluster: what each is started with, and what it waits for."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.k8s.cluster.certificates import Certificates

NODE = "node1"
NODE_IP, POD_NET, FIRST_POD = "10.244.0.1", "10.244.0.0/24", "10.244.0.10"
SERVICE_NET, API_IP, DNS_IP = "10.96.0.0/24", "10.96.0.1", "10.96.0.10"
USERS = {
    "admin": "/O=system:masters/CN=admin",
    "controllers": "/CN=system:kube-controller-manager",
    "scheduler": "/CN=system:kube-scheduler",
    "kubelet": f"/O=system:nodes/CN=system:node:{NODE}",
}
SERVER_NAMES = [
    *(f"DNS:{name}" for name in ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")),
    "DNS:kubernetes.default.svc.cluster.local",
    *(f"IP:{address}" for address in ("127.0.0.1", API_IP, NODE_IP)),
]


@dataclass(frozen=True)
class Part:
    """A program of the cluster. It starts when the one `after` which it comes answers."""

    name: str
    command: list[str]
    after: str = ""  # "etcd" or "kube-apiserver"


def certificates(run: Path) -> Certificates:
    return Certificates(run / "pki", f"https://{API_IP}:443")


def parts(run: Path, kubebox: Path) -> list[Part]:
    """Those of a whole node, in the order in which they start; `run` is the folder for what they write."""
    pki = certificates(run)

    def kubernetes(name: str, *options: str, after: str = "") -> Part:
        return Part(name, [str(kubebox), name, *options], after)

    return [
        kubernetes(
            "etcd",
            f"--data-dir={run}/etcd",
            "--unsafe-no-fsync",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=default=http://127.0.0.1:2380",
        ),
        kubernetes(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            "--bind-address=0.0.0.0",
            "--secure-port=443",
            f"--advertise-address={NODE_IP}",
            f"--service-cluster-ip-range={SERVICE_NET}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            f"--cert-dir={run}/apiserver",
            f"--client-ca-file={pki.authority}",
            f"--tls-cert-file={pki.certificate('apiserver')}",
            f"--tls-private-key-file={pki.key('apiserver')}",
            f"--service-account-key-file={pki.folder}/accounts.pub",
            f"--service-account-signing-key-file={pki.key('accounts')}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--kubelet-client-certificate={pki.certificate('admin')}",
            f"--kubelet-client-key={pki.key('admin')}",
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
            after="etcd",
        ),
        kubernetes(
            "kube-controller-manager",
            f"--kubeconfig={pki.kubeconfig('controllers')}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--service-account-private-key-file={pki.key('accounts')}",
            f"--root-ca-file={pki.authority}",
            "--use-service-account-credentials=true",
            f"--cert-dir={run}/controllers",
            f"--flex-volume-plugin-dir={run}/volume-plugins",
            after="kube-apiserver",
        ),
        kubernetes("minidns", "--kubeconfig", str(pki.kubeconfig("admin")), "--listen", f"{DNS_IP}:53"),
        kubernetes(
            "kube-scheduler",
            f"--kubeconfig={pki.kubeconfig('scheduler')}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--cert-dir={run}/scheduler",
        ),
        kubernetes(
            "kube-proxy",
            f"--kubeconfig={pki.kubeconfig('admin')}",
            "--proxy-mode=iptables",
            f"--hostname-override={NODE}",
            f"--cluster-cidr={POD_NET}",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
        ),
        Part("containerd", ["containerd", "-c", str(run / "containerd.toml")]),
        kubernetes(
            "kubelet",
            f"--config={run}/kubelet.json",
            f"--kubeconfig={pki.kubeconfig('kubelet')}",
            f"--hostname-override={NODE}",
            f"--node-ip={NODE_IP}",
            f"--root-dir={run}/kubelet",
            f"--cert-dir={run}/kubelet-certificates",
        ),
    ]


def write_configuration(run: Path) -> None:
    """The files that containerd, the kubelet and the network of the pods read."""
    (run / "network").mkdir(parents=True, exist_ok=True)
    (run / "network" / "10-bridge.conflist").write_text(json.dumps(_network(run)), encoding="utf-8")
    (run / "containerd.toml").write_text(_containerd(run), encoding="utf-8")
    (run / "kubelet.json").write_text(json.dumps(_kubelet(run)), encoding="utf-8")
    (run / "resolv.conf").write_text("nameserver 127.0.0.1\n", encoding="utf-8")  # no name outside is ever asked for


def _network(run: Path) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(run / "addresses"),
        "ranges": [[{"subnet": POD_NET, "rangeStart": FIRST_POD, "gateway": NODE_IP}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": "br0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def _containerd(run: Path) -> str:
    # Without CAP_SYS_RESOURCE, as in a container, each sandbox fails unless oom_score_adj is restricted.
    return f'''version = 2
root = "{run.parent}/containerd"
state = "{run}/containerd-state"
[grpc]
  address = "{run}/containerd.sock"
[ttrpc]
  address = "{run}/containerd.sock.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{run}/network"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
'''


def _kubelet(run: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "healthzBindAddress": "127.0.0.1",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(certificates(run).authority)},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": str(run / "resolv.conf"),
        "cgroupDriver": "cgroupfs",
        "failSwapOn": False,
        "failCgroupV1": False,
        "enforceNodeAllocatable": ["none"],
        "containerRuntimeEndpoint": f"unix://{run}/containerd.sock",
        "makeIPTablesUtilChains": False,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
        "syncFrequency": "10s",
        "fileCheckFrequency": "1h",
        "volumePluginDir": str(run / "volume-plugins"),
        "podLogsDir": str(run / "pod-logs"),
    }
