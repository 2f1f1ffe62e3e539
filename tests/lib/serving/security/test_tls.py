"""The server ends TLS itself, with a certificate and key that are checked when it starts."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.lib.serving.conftest import served, settings_of

from wattcast.serving.security.tls import TlsFilesError, has_tls
from wattcast.serving.server import sends_in_the_clear
from wattcast.setting_sections import ServingSettings

NEW = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
       "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The paths of two certificates, `a.pem` and `b.pem`, of their keys, and of a key with a password."""
    folder = tmp_path_factory.mktemp("tls")
    for name in ("a", "b"):
        command = ["openssl", *NEW, "-keyout", f"{name}.key", "-out", f"{name}.pem"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    encrypt = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", "a.key", "-out", "encrypted.key"]
    subprocess.run(encrypt, cwd=folder, check=True, capture_output=True)
    return lambda name: str(folder / name)


def options(certificate: str = "", key: str = "", **serving: str) -> ServingSettings:
    return ServingSettings.model_validate({"tls_certificate": certificate, "tls_key": key, **serving})


def test_probes_lists_and_dashboard_are_served_by_https(state: Path, files: Callable[[str], str]) -> None:
    current = settings_of(state, tls_certificate=files("a.pem"), tls_key=files("a.key"))
    with served(current) as client:
        for path in ("/healthz", "/readyz", "/", "/static/main.js", "/v1/buildings"):
            assert client.get(path).status_code == 200, path
        big = client.get("/v1/forecasts", params={"limit": 500})  # several chunks of the middleware
        assert (big.status_code, big.http_version, big.url.scheme) == (200, "HTTP/1.1", "https")
        with pytest.raises(httpx.ConnectError), httpx.Client(verify=ssl.create_default_context()) as stranger:
            stranger.get(client.base_url)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(str(client.base_url).replace("https", "http"))


def test_event_stream_by_https_is_not_taken_for_a_slow_client(state: Path, files: Callable[[str], str]) -> None:
    current = settings_of(state, tls_certificate=files("a.pem"), tls_key=files("a.key"), slow_client_seconds=1)
    with served(current) as client, client.stream("GET", "/v1/events", timeout=2) as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": wattcast"
        with pytest.raises(httpx.ReadTimeout):  # open, with nothing to say
            list(lines)


def test_certificate_without_a_usable_key_is_refused(files: Callable[[str], str]) -> None:
    assert not has_tls(options())
    assert has_tls(options(files("a.pem"), files("a.key")))
    with pytest.raises(TlsFilesError, match="add --tls-key with the other file"):
        has_tls(options(certificate=files("a.pem")))
    with pytest.raises(TlsFilesError, match="add --tls-certificate with the other file"):
        has_tls(options(key=files("a.key")))
    with pytest.raises(TlsFilesError, match=r"missing\.pem cannot be read: No such file or directory"):
        has_tls(options(files("missing.pem"), files("a.key")))
    for key in ("b.key", "encrypted.key", "a.pem"):
        with pytest.raises(TlsFilesError, match="its own key without a password"):
            has_tls(options(files("a.pem"), files(key)))


def test_only_an_address_without_tls_and_proxy_sends_in_the_clear(files: Callable[[str], str]) -> None:
    assert sends_in_the_clear(options(host="0.0.0.0"))
    assert not sends_in_the_clear(options(host="127.0.0.1"))
    assert not sends_in_the_clear(options(host="0.0.0.0", trusted_proxies="10.0.0.7"))
    assert not sends_in_the_clear(options(files("a.pem"), files("a.key"), host="0.0.0.0"))
