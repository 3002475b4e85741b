"""What PyMySQL and the drivers that descend from it have in common: how a connection of theirs is told and watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.dbapi.place import peer_of
from timetracer_otel.families.mysql import greeting
from timetracer_otel.families.mysql.server import Server
from timetracer_otel.families.mysql.watching import Watched
from timetracer_otel.seams import Responder, faults

__all__ = ["NUMBER", "WATCHED", "NoSocket", "Packets", "address", "close", "close_on_cancel", "server_for", "watch"]

NUMBER: Final = 3
"""Where a packet has its number, which is 0 for a command."""
WATCHED: Final = "_timetracer_watched"
"""The attribute of a connection that holds what looks at it."""
_HEADER: Final = 4


class NoSocket:
    """Stands as the socket of a transport that has none.

    Args:
        server: that it leads to.
    """

    def __init__(self, server: Server) -> None:
        self.server = server

    def setsockopt(self, *_option: object) -> None:
        """Take an option: there is nothing to set."""

    def fileno(self) -> int:
        """Give no number: nobody may send behind the transport's back."""
        return -1

    def dup(self) -> NoSocket:
        """Give the same: the driver goes on with it in TLS."""
        return self


class Packets:
    """Whole packets of what a driver sends in pieces.

    Args:
        take: is given each.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._pieces: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> None:
        """Take a piece, which is a packet, or the beginning or rest of one.

        Args:
            data: that is sent.
        """
        if self._pieces:
            self._missing -= len(data)
        else:
            self._missing = int.from_bytes(data[:NUMBER], "little") + _HEADER - len(data)
        self._pieces.append(data)
        if self._missing <= 0:
            packet = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces = []
            self._take(packet)


def address(connection: Any) -> tuple[str, int | None]:
    """Say where a connection leads: host and port; a path and None.

    Args:
        connection: the driver's.
    """
    path = _said(connection, "unix_socket")
    return (str(path), None) if path else (str(_said(connection, "host")), _said(connection, "port"))


def _said(connection: Any, name: str) -> Any:
    """What a connection was told; some drivers keep it to themselves."""
    return getattr(connection, name if hasattr(connection, name) else f"_{name}")


def _database(connection: Any) -> str:
    name = _said(connection, "db") or ""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def server_for(plugin: str, responder: Responder, connection: Any) -> Server:
    """Give the server that a connection is to reach in a replay.

    Args:
        plugin: the integration's name.
        responder: gives the recorded calls.
        connection: the driver's.
    """
    return Server(plugin, responder, peer_of(address(connection), _database(connection)))


def watch(plugin: str, connection: Any, attach: Callable[[Watched], None]) -> Watched | None:
    """Look at a connection from now on: nothing is under way on it. None where nothing is recorded.

    Args:
        plugin: the integration's name.
        connection: the driver's.
        attach: lets what passes on it be seen.
    """
    if seams.is_off(plugin):
        return None
    try:
        server = greeting.facts(
            connection.server_version,
            connection.server_thread_id[0],
            connection.server_capabilities,
            connection.server_language,
            connection.server_status,
        )
        watched = Watched(plugin, address(connection), _database(connection), server)
        attach(watched)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{plugin}.watch", error)
        return None
    else:
        return watched


def close(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around the closing of a connection."""
    watched: Watched | None = instance.__dict__.pop(WATCHED, None)
    if watched is not None:
        watched.left()
    return wrapped(*args, **kwargs)


def close_on_cancel(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around what is done when the app gives up waiting for an answer."""
    watched: Watched | None = instance.__dict__.get(WATCHED)
    if watched is not None:
        watched.broke(asyncio.CancelledError())
    return wrapped(*args, **kwargs)
