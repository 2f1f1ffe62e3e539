"""API keys: 256 random bits each, of which a file keeps the SHA-256; scoped, and revoked without a restart."""

import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from filelock import FileLock

from wattcast.settings import Settings

log = logging.getLogger("wattcast.serving")

SCOPES = ("read", "forecast", "metrics")
LOOK_SECONDS = 1.0


class KeysError(ValueError):
    """A key that cannot be made or revoked, with the reason."""


@dataclass(frozen=True)
class Key:
    key_id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    created_at: str
    revoked_at: str | None = None


class Keys:
    """The keys of a file, which is read again when it has changed."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._known: dict[str, Key] = {}
        self._stamp: tuple[int, int] | None = None
        self._looked = float("-inf")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(Path(settings.serving.keys_file or settings.state / "keys.json"))

    def create(self, name: str, scopes: tuple[str, ...]) -> tuple[Key, str]:
        """A new key and its text, which is kept nowhere."""
        if not name.strip() or not name.isprintable():
            raise KeysError("A key needs a name that can be printed: whose it is.")
        if unknown := [scope for scope in scopes if scope not in SCOPES]:
            raise KeysError(f"There is no scope {unknown[0]}: there are {', '.join(SCOPES)}.")
        key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
        key = Key(key_id, name, _digest(secret), scopes, _now())
        with self._changing() as known:
            known[key_id] = key
        return key, f"wc_{key_id}_{secret}"

    def revoke(self, key_id: str) -> Key:
        with self._changing() as known:
            if key_id not in known:
                raise KeysError(f"There is no key {key_id}: `wattcast keys list` shows them.")
            known[key_id] = Key(**asdict(known[key_id]) | {"revoked_at": known[key_id].revoked_at or _now()})
            return known[key_id]

    def all(self) -> list[Key]:
        return sorted(_read(self.file).values(), key=lambda key: key.created_at)

    def check(self, text: str) -> Key | None:
        """The key of this text, None where it is wrong or revoked; takes as long for either."""
        self._look()
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        key = self._known.get(key_id)
        is_right = hmac.compare_digest(_digest(secret), key.sha256 if key else "0" * 64)
        return key if key and is_right and prefix == "wc" and key.revoked_at is None else None

    def _look(self) -> None:
        """Read the file again if it has changed, at most once a second."""
        with self._lock:
            if time.monotonic() - self._looked < LOOK_SECONDS:
                return
            self._looked = time.monotonic()
            try:
                found = self.file.stat()
            except OSError:
                self._known, self._stamp = {}, None
                return
            if self._stamp == (found.st_mtime_ns, found.st_ino):
                return
            self._stamp = (found.st_mtime_ns, found.st_ino)
            try:
                self._known = _read(self.file)
            except KeysError as error:
                log.error("No key is valid: %s", error)
                self._known = {}

    def _changing(self) -> "_Change":
        return _Change(self.file)


class _Change:
    """The keys to be changed, written back in one piece and readable for their owner alone."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._lock = file, FileLock(f"{file}.lock")

    def __enter__(self) -> dict[str, Key]:
        self._lock.acquire()
        self._keys = _read(self._file)
        return self._keys

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                new = self._file.with_name(f"{self._file.name}.{os.getpid()}")
                with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as text:
                    json.dump([asdict(key) for key in self._keys.values()], text, indent=2)
                new.replace(self._file)
        finally:
            self._lock.release()


def _read(file: Path) -> dict[str, Key]:
    """Raises KeysError for a file that is none of keys."""
    if not file.is_file():
        return {}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        return {row["key_id"]: Key(**row | {"scopes": tuple(row["scopes"])}) for row in rows}
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise KeysError(f"{file.name} is no file of keys: {error}") from error


def key_text(headers: Mapping[str, str]) -> str:
    """The key that a request brings, empty where it brings none."""
    scheme, _, text = headers.get("authorization", "").strip().partition(" ")
    return headers.get("x-api-key") or (text.strip() if scheme.lower() == "bearer" else "")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", errors="replace")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
