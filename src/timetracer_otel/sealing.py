"""Secrets sealed in place: a token stands where the secret stood, and whoever has the key gets the secret back.

The cipher is AES-SIV (RFC 5297). It is deterministic: equal secrets give equal tokens, so recorded values can be told
apart and joined without the key. What shows is equality, and the length in steps of 16 bytes.

A token is ``tt1.<key id>.<base64url>``: valid unchanged in a header, a cookie, a URL and a JSON string. The key is that
of ``TIMETRACER_KEY``, else the first line of the user's key file, which the first recording makes. Every key that is
there opens.
"""

from __future__ import annotations

import binascii
import hashlib
import os
import re
import stat
import sys
import threading
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from timetracer_otel.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

__all__ = [
    "MARK",
    "TOKEN",
    "VARIABLE",
    "Key",
    "Sealer",
    "check",
    "forget",
    "key_file",
    "make_key",
    "read_keys",
    "rotate",
    "sealer",
    "why_not",
]

VARIABLE: Final = "TIMETRACER_KEY"
MARK: Final = "tt1."
"""How tokens begin: most texts are looked at for no more than that."""
TOKEN: Final = re.compile(r"tt1\.(?P<key>[0-9a-f]{6})\.(?P<sealed>[A-Za-z0-9_-]{43,})")

_NO_KEY: Final = frozenset({"none", "off"})
_SIZES: Final = frozenset({32, 48, 64})
"""Bytes of an AES-SIV key."""
_BLOCK: Final = 16
_PURPOSE: Final = b"seal"
_LARGEST_FILE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """One key; ``id`` names it in tokens and tells nothing about it."""

    raw: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Six digits of its SHA-256."""
        return hashlib.sha256(self.raw).hexdigest()[:6]


class Sealer:
    """Seals with the first of some keys, opens with any.

    Args:
        keys: at least one.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV  # noqa: PLC0415 - 20 ms, only where secrets are

        self._ciphers: dict[str, AESSIV] = {key.id: AESSIV(key.raw) for key in reversed(keys)}
        self.key_id = keys[0].id
        self.key_ids = frozenset(self._ciphers)

    def seal(self, secret: str) -> str:
        """Give the token of a secret.

        Args:
            secret: not empty.
        """
        data = secret.encode("utf-8", "surrogateescape") + b"\x80"
        padded = data + bytes(-len(data) % _BLOCK)  # ISO/IEC 7816-4: a short secret does not show its length
        sealed = self._ciphers[self.key_id].encrypt(padded, [self.key_id.encode(), _PURPOSE])
        return f"{MARK}{self.key_id}.{urlsafe_b64encode(sealed).rstrip(b'=').decode()}"

    def open(self, token: str) -> str | None:
        """Give the secret of a token; None when no key here opens it.

        Args:
            token: any text.
        """
        found = TOKEN.fullmatch(token)
        cipher = self._ciphers.get(found["key"]) if found is not None else None
        if found is None or cipher is None:
            return None
        try:
            sealed = urlsafe_b64decode(found["sealed"] + "=" * (-len(found["sealed"]) % 4))
            padded = cipher.decrypt(sealed, [found["key"].encode(), _PURPOSE])
        except Exception:  # noqa: BLE001 - whatever a cipher makes of bytes that were tampered with: it is not opened
            return None
        data, mark, _ = padded.rpartition(b"\x80")
        return data.decode("utf-8", "surrogateescape") if mark else None

    def why_not(self, token: str) -> str:
        """Say why a token cannot be opened.

        Args:
            token: that :meth:`open` gave None for.
        """
        found = TOKEN.fullmatch(token)
        return _damaged() if found is None or found["key"] in self._ciphers else _no_key(found["key"])


def _damaged() -> str:
    return "is damaged: record it again"


def _no_key(key_id: str) -> str:
    return f"was sealed with key {key_id}, which is not here: {_cure()}"


def _cure() -> str:
    file = key_file()
    where = f"{VARIABLE}, or a line of {file}" if file is not None else VARIABLE
    return f"give the recording's key as {where}"


def why_not(token: str) -> str:
    """Say why a token cannot be opened in this process.

    Args:
        token: that stayed as it is.
    """
    found, own = TOKEN.fullmatch(token), sealer()
    if own is not None:
        return own.why_not(token)
    return _damaged() if found is None else _no_key(found["key"])


def key_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the user's key file is, there or not; None when the user has no place for settings.

    As platformdirs gives it, whose import costs 36 ms.

    Args:
        environ: the environment variables.
    """
    if sys.platform == "win32":
        folder = environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Application Support")  # noqa: PTH111 - Path.expanduser raises without a home
    else:
        folder = environ.get("XDG_CONFIG_HOME", "").strip() or os.path.expanduser("~/.config")  # noqa: PTH111 - as above
    path = Path(folder) / "timetracer" / "keys"
    return path if path.is_absolute() else None


def read_keys(environ: Mapping[str, str] = os.environ) -> list[Key]:
    """Give the keys that are there, the one that seals first.

    Args:
        environ: the environment variables.

    Raises:
        ConfigError: what is there is no key.
    """
    text = environ.get(VARIABLE, "").strip()
    if text.lower() in _NO_KEY:
        return []
    if text:
        return [_key(part, VARIABLE) for part in text.split(",")]
    file = key_file(environ)
    return [] if file is None else _keys_of(file)


def _key(text: str, where: str) -> Key:
    """Decode a key; the error does not repeat it."""
    try:
        raw = b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) not in _SIZES:
        raise ConfigError(
            f"{where} holds no key: give 32, 48 or 64 random bytes in base64 (openssl rand -base64 32), or 'none'"
        )
    return Key(raw)


def _keys_of(file: Path) -> list[Key]:
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}; mend it, or set {VARIABLE}") from error
    with os.fdopen(descriptor, "rb") as opened:
        _must_be_ours(file, os.fstat(descriptor))
        lines = opened.read(_LARGEST_FILE).decode("utf-8", "replace").splitlines()
    return [_key_of_line(line, f"{file}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _must_be_ours(file: Path, found: os.stat_result) -> None:
    """A key that somebody else can change is somebody else's."""
    if not stat.S_ISREG(found.st_mode):
        raise ConfigError(f"{file} is no file: move it away, or set {VARIABLE}")
    if sys.platform != "win32" and (found.st_uid not in {0, os.geteuid()} or found.st_mode & 0o022):
        raise ConfigError(f"{file} can be changed by others: chmod 600 it, or set {VARIABLE}")


def _key_of_line(line: str, where: str) -> Key:
    key_id, _, text = line.strip().partition(" ")
    key = _key(text, where)
    if key.id != key_id:
        raise ConfigError(f"{where} is damaged: it is not the key {key_id!r} that it says")
    return key


def make_key(environ: Mapping[str, str] = os.environ) -> None:
    """Make the user's key file, if a recording has no key yet. Where that cannot be, there is none.

    Args:
        environ: the environment variables.
    """
    file = key_file(environ)
    if not environ.get(VARIABLE, "").strip() and file is not None and not os.path.lexists(file):
        with suppress(OSError):
            _write(file, [Key(os.urandom(64))], os.link)
    _state.forget()  # another process may have made it since this one looked


def rotate(environ: Mapping[str, str] = os.environ) -> Key:
    """Put a new key before those of the key file; give it.

    Args:
        environ: the environment variables.

    Raises:
        ConfigError: the file cannot be read or written.
    """
    file = key_file(environ)
    if environ.get(VARIABLE, "").strip() or file is None:
        raise ConfigError(f"there is no key file to add to: {VARIABLE} is set, or the user has no home")
    key = Key(os.urandom(64))
    try:
        _write(file, [key, *_keys_of(file)], os.replace)
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error
    _state.forget()
    return key


def _write(file: Path, keys: Sequence[Key], put: Callable[[Path, Path], object]) -> None:
    """Write beside and put in place, so that nobody reads half of it. ``os.link`` fails when another was faster."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{os.getpid()}-{os.urandom(4).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    try:
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as opened:
            opened.writelines(f"{key.id} {b64encode(key.raw).decode()}\n".encode() for key in keys)
        put(beside, file)
    finally:
        beside.unlink(missing_ok=True)


class _State:
    """This process's sealer, made when it is first wanted."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._forked)
        self.forget()

    def _forked(self) -> None:
        self._lock = threading.RLock()

    def forget(self) -> None:
        """Read the keys again next time."""
        self._known = False
        self._sealer: Sealer | None = None

    def get(self) -> Sealer | None:
        if not self._known:
            with self._lock:
                if not self._known:
                    self._sealer = _made()
                    self._known = True
        return self._sealer


def _made() -> Sealer | None:
    try:
        keys = read_keys()
        return Sealer(keys) if keys else None
    except Exception:  # noqa: BLE001 - no key, or a cryptography that cannot be loaded: then secrets are masked
        return None


_state: Final = _State()


def sealer() -> Sealer | None:
    """What seals and opens in this process; None where there is no key."""
    return _state.get()


def forget() -> None:
    """Read the keys again when they are next wanted: tests change them."""
    _state.forget()


def check() -> None:
    """See that the keys of this process can be used, before a command stands on them.

    Raises:
        ConfigError: they cannot.
    """
    read_keys()
