"""API keys of 256 random bits each. A file keeps only their SHA-256; keys have scopes and are revoked without a restart."""

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from filelock import FileLock

from wattcast.errors import REFUSED
from wattcast.files import write_atomically
from wattcast.serving.security.access import ALL_BUILDINGS, BuildingAccess
from wattcast.settings import Settings

log = logging.getLogger("wattcast.serving")

SCOPES = ("read", "forecast", "metrics")
CHECK_FILE_SECONDS = 1.0
API_KEY = "wattcast.api_key"  # where the middleware leaves the key of a request in its ASGI scope
LISTS_OF_ACCESS = ("buildings", "sites")
METRICS_OF_ALL = "Metrics are those of all buildings: use a key with the scope metrics and without buildings and sites."


class ApiKeyError(ValueError):
    """A key that cannot be created or revoked, with the reason."""

    exit_status = REFUSED


@dataclass(frozen=True)
class ApiKey:
    key_id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    created_at: str
    revoked_at: str | None = None
    buildings: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()

    @property
    def access(self) -> BuildingAccess:
        """The buildings that it shows: all of them unless it names some buildings or sites."""
        return BuildingAccess(self.buildings, self.sites)


class ApiKeys:
    """The API keys in a file. The file is read again when it has changed, checked at most once in CHECK_FILE_SECONDS."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._keys: dict[str, ApiKey] = {}
        self._file_version: tuple[int, int] | None = None
        self._checked_at = float("-inf")

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(Path(settings.serving.keys_file or settings.state / "keys.json"))

    def create(self, name: str, scopes: tuple[str, ...], access: BuildingAccess = ALL_BUILDINGS) -> tuple[ApiKey, str]:
        """Create a key; returns it with its text, which is not stored.

        Raises:
            ApiKeyError: the name, a scope, a building or a site is not allowed.
        """
        if not name.strip() or not name.isprintable():
            raise ApiKeyError("The name of a key must not be empty and must be printable: use the name of its owner.")
        if unknown := [scope for scope in scopes if scope not in SCOPES]:
            raise ApiKeyError(f"The scope {unknown[0]} does not exist: use {', '.join(SCOPES)}.")
        if not all(text.strip() and text.isprintable() for text in (*access.buildings, *access.sites)):
            raise ApiKeyError(
                "A building or a site of a key must not be empty and must be printable: use ids as in the lake."
            )
        if access.is_restricted and "metrics" in scopes:
            raise ApiKeyError(METRICS_OF_ALL)
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key = ApiKey(key_id, name, _digest(secret), scopes, _now(), buildings=access.buildings, sites=access.sites)
        with _changing(self.file) as keys:
            keys[key_id] = key
        return key, f"wc_{key_id}_{secret}"

    def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key; a key that is already revoked keeps its time of revocation."""
        with _changing(self.file) as keys:
            if key_id not in keys:
                raise ApiKeyError(f"The key {key_id} does not exist: `wattcast keys list` shows all keys.")
            keys[key_id] = replace(keys[key_id], revoked_at=keys[key_id].revoked_at or _now())
            return keys[key_id]

    def all(self) -> list[ApiKey]:
        return sorted(_read(self.file).values(), key=lambda key: key.created_at)

    def authenticate(self, text: str) -> ApiKey | None:
        """The key with this text, or None if it is wrong or revoked; the comparison takes constant time."""
        self._reload_if_changed()
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._keys.get(key_id)
        is_right = hmac.compare_digest(_digest(secret), key.sha256 if key else "0" * 64)
        return key if key and is_right and prefix == "wc" and key.revoked_at is None else None

    def _reload_if_changed(self) -> None:
        with self._lock:
            if time.monotonic() - self._checked_at < CHECK_FILE_SECONDS:
                return
            self._checked_at = time.monotonic()
            try:
                stat = self.file.stat()
            except OSError:
                self._keys, self._file_version = {}, None
                return
            if self._file_version == (stat.st_mtime_ns, stat.st_ino):
                return
            self._file_version = (stat.st_mtime_ns, stat.st_ino)
            try:
                self._keys = _read(self.file)
            except ApiKeyError as error:
                log.error("All API keys are refused because their file cannot be read: %s", error)
                self._keys = {}


@contextmanager
def _changing(file: Path) -> Iterator[dict[str, ApiKey]]:
    """The keys to change. They are written back atomically, readable for their owner alone, unless the block raises."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        keys = _read(file)
        yield keys
        write_atomically(file, json.dumps([_row(key) for key in keys.values()], indent=2), mode=0o600)


def _read(file: Path) -> dict[str, ApiKey]:
    """The keys of a file by id; raises ApiKeyError for a file that does not hold keys."""
    if not file.is_file():
        return {}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return {row["key_id"]: _key(row) for row in rows}
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise ApiKeyError(f"{file.name} is not a file of API keys: {error}") from error


def _row(key: ApiKey) -> dict[str, Any]:
    """Buildings and sites are left out where there are none: earlier releases read such a file too."""
    return {name: value for name, value in asdict(key).items() if value or name not in LISTS_OF_ACCESS}


def _key(row: dict[str, Any]) -> ApiKey:
    """Raises ValueError, TypeError or LookupError for a row that is not a key; a list must be a list, since a text that was taken
    for a list of letters would change the access."""
    lists = {name: row.get(name, []) for name in ("scopes", *LISTS_OF_ACCESS)}
    for name, values in lists.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise TypeError(f"{name} is not a list of texts")
    return ApiKey(**row | {name: tuple(values) for name, values in lists.items()})


def key_text(headers: Mapping[str, str]) -> str:
    """The API key in a request's headers, or an empty string."""
    scheme, _, text = headers.get("authorization", "").strip().partition(" ")
    return headers.get("x-api-key") or (text.strip() if scheme.lower() == "bearer" else "")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", errors="replace")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
