"""Secrets that a manifest contains in clear text instead of a reference to a Secret."""

import re
from collections.abc import Iterator, Mapping

from wattcast.settings import secret_variables

SECRET = re.compile(r"password|secret|token|credential|access.?key|api.?key", re.IGNORECASE)
# Names that say where a secret is: class names, file names, and Spark's references to Secrets.
REFERENCE = re.compile(
    r".*[._](provider|file|path|dir|name|class|enabled)|spark\.kubernetes\.(driver|executor)\.(secrets|secretKeyRef)\..*",
    re.IGNORECASE,
)
PASSWORD_IN_URL = re.compile(r"://[^/\s:@]*:[^/\s@]+@")


def inline_secrets(values: Mapping[str, object], field: str) -> Iterator[str]:
    """A problem for each value of a field that contains a secret."""
    secret_settings = secret_variables()
    for name, value in values.items():
        if value and (name in secret_settings or _looks_secret(name, str(value))):
            yield f"{field} {name} contains a secret in clear text: refer to a Secret instead"


def _looks_secret(name: str, value: str) -> bool:
    has_secret_name = SECRET.search(name) and not REFERENCE.fullmatch(name)
    return bool(has_secret_name or PASSWORD_IN_URL.search(value))
