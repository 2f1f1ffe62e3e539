"""Keys and certificates of a cluster, and the kubeconfigs that hold them."""

import base64
import json
import subprocess
from pathlib import Path

AUTHORITY = "ca"
VALID_DAYS = "30"


class Certificates:
    """In a folder: an authority, the key for service accounts, and a certificate for each that speaks to the API server."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder, self.server = folder, server
        self.authority = folder / f"{AUTHORITY}.crt"

    def make(self, server_names: list[str], users: dict[str, str]) -> None:
        """Certificates for the API server and for each user (name: subject), and the user's kubeconfig."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", VALID_DAYS,
            "-subj", "/CN=test-ca", "-keyout", self.key(AUTHORITY), "-out", self.authority,
        )  # fmt: skip
        self._openssl("genrsa", "-out", self.key("accounts"), "2048")
        self._openssl("rsa", "-in", self.key("accounts"), "-pubout", "-out", self.folder / "accounts.pub")
        self._sign("apiserver", "/CN=kube-apiserver", server_names)
        for user, subject in users.items():
            self._sign(user, subject)
            self.kubeconfig(user).touch(mode=0o600)
            self.kubeconfig(user).write_text(json.dumps(self._access(user)), encoding="utf-8")

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.crt"

    def kubeconfig(self, user: str) -> Path:
        return self.folder / f"{user}.kubeconfig"

    def _sign(self, name: str, subject: str, names: list[str] | None = None) -> None:
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        alternative = f"subjectAltName={','.join(names)}\n" if names else ""
        extensions.write_text(
            f"keyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n{alternative}", encoding="utf-8"
        )
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.key(name))
        self._openssl("req", "-new", "-key", self.key(name), "-subj", subject, "-out", request)
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self.key(AUTHORITY), "-CAcreateserial",
            "-days", VALID_DAYS, "-extfile", extensions, "-out", self.certificate(name),
        )  # fmt: skip

    def _access(self, user: str) -> dict[str, object]:
        def text(path: Path) -> str:
            return base64.b64encode(path.read_bytes()).decode()

        cluster = {"server": self.server, "certificate-authority-data": text(self.authority)}
        credentials = {
            "client-certificate-data": text(self.certificate(user)),
            "client-key-data": text(self.key(user)),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }

    @staticmethod
    def _openssl(*arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
