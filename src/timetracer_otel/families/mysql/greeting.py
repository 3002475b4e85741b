"""How a server and a client of MySQL greet each other: what a recording keeps of it, and how a replay makes it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Any, Final

from timetracer_otel.families.mysql import wire

__all__ = ["SSL", "facts", "facts_in", "is_tls_request", "made"]

SSL: Final = 0x0800
_COMPRESS, _SECURE, _PLUGIN = 0x20, 0x8000, 0x080000
_WITHOUT_EOF, _OPTIONAL_METADATA, _ZSTD = 0x1000000, 0x2000000, 0x4000000
_LEFT_OUT: Final = _COMPRESS | _WITHOUT_EOF | _ZSTD | _OPTIONAL_METADATA
"""What would change the form of what is recorded."""
_ALWAYS: Final = _SECURE | _PLUGIN
_DEFAULTS: Final[Mapping[str, Any]] = {
    "version": "8.0.0", "thread": 1, "capabilities": 0xA1FFF7FF & ~_LEFT_OUT, "charset": 45, "status": 2,
}  # fmt: skip
_AFTER_VERSION: Final = Struct("<I8sxHBHHB6xI")
_TLS_REQUEST: Final = 32
_SALT: Final = bytes(range(33, 41)), bytes(range(41, 53))
_more = itertools.count(1)


def facts(version: str, thread: int, capabilities: int, charset: int, status: int) -> dict[str, Any]:
    """Give what a recording keeps of a server.

    Args:
        version: of it.
        thread: the number of the connection.
        capabilities: its flags.
        charset: the number of its character set.
        status: flags of the connection.
    """
    return {
        "version": version, "thread": thread, "capabilities": capabilities, "charset": charset, "status": status,
    }  # fmt: skip


def facts_in(payload: bytes) -> dict[str, Any]:
    """Read :func:`facts` from the greeting itself, with ``extended``: the flags that MariaDB alone has.

    Args:
        payload: of its packet.
    """
    version, at = wire.text_until_zero(payload, 1)
    thread, _, low, charset, status, high, _, extended = _AFTER_VERSION.unpack_from(payload, at)
    known = facts(version.decode("latin-1"), thread, low | high << 16, charset, status)
    return {**known, "extended": extended}


class Known:
    """What was recorded of connections: each live one stands for the next recorded one of its database.

    Args:
        texts: JSON, as it was recorded.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._all = sorted((json.loads(text) for text in texts), key=lambda one: int(one.get("thread", 0)))
        self._taken = 0

    @property
    def peers(self) -> list[str]:
        """The databases, each once."""
        return list(dict.fromkeys(one["peer"] for one in self._all))

    def next(self) -> Mapping[str, Any]:
        """Give what was recorded of the next connection; of more than were recorded another number."""
        number, self._taken = self._taken, self._taken + 1
        if number < len(self._all):
            return {**_DEFAULTS, **self._all[number]}
        last = {**_DEFAULTS, **(self._all[-1] if self._all else {})}
        return {**last, "thread": int(last["thread"]) + 1 + number - len(self._all)}


def made(known: Mapping[str, Any], *, offers_tls: bool = True) -> bytes:
    """Make a greeting, which takes any password.

    Args:
        known: as :func:`facts` has it.
        offers_tls: whether it offers TLS, which then must change nothing.
    """
    capabilities = (int(known["capabilities"]) | _ALWAYS) & ~_LEFT_OUT
    capabilities = capabilities | SSL if offers_tls else capabilities & ~SSL
    facts_ = _AFTER_VERSION.pack(
        int(known["thread"]), _SALT[0], capabilities & 0xFFFF, int(known["charset"]), int(known["status"]),
        capabilities >> 16, 21, int(known.get("extended", 0)),
    )  # fmt: skip
    version = str(known["version"]).encode("latin-1", "replace") + b"\0"
    return wire.frame(b"\x0a" + version + facts_ + _SALT[1] + b"\0mysql_native_password\0", 0)


def is_tls_request(payload: bytes) -> bool:
    """Whether a client asks for TLS before it says who it is.

    Args:
        payload: of its first packet.
    """
    return len(payload) == _TLS_REQUEST and bool(int.from_bytes(payload[:4], "little") & SSL)
