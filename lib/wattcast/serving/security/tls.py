"""The certificate and the private key with which the API server ends TLS itself."""

import ssl
from pathlib import Path

from wattcast.errors import REFUSED
from wattcast.setting_sections import ServingSettings

# for TLS 1.2; TLS 1.3 has its own, and Python refuses what is older
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsFilesError(ValueError):
    """A certificate or key with which the server cannot offer TLS, with the reason and the remedy."""

    exit_status = REFUSED


def has_tls(options: ServingSettings) -> bool:
    """Whether the server ends TLS itself.

    Raises:
        TlsFilesError: only one of the two files is set, or the files cannot be used together.
    """
    certificate, key = options.tls_certificate, options.tls_key
    if not certificate and not key:
        return False
    if not certificate or not key:
        missing = "--tls-key" if certificate else "--tls-certificate"
        raise TlsFilesError(f"TLS needs a certificate and its key: add {missing} with the other file.")
    for file in (certificate, key):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise TlsFilesError(f"{file} cannot be read: {error.strerror}. TLS needs PEM files.") from error
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise TlsFilesError(
            f"{certificate} and {key} cannot be used for TLS: give a certificate in PEM and its own key without a password."
        ) from error
    return True
