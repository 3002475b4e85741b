"""What PyMySQL and the drivers that descend from it have in common: how a connection of theirs is told and watched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.dbapi.place import peer_of
from timetracer_otel.families.mysql import greeting
from timetracer_otel.families.mysql.server import Server
from timetracer_otel.families.mysql.watching import Watched
from timetracer_otel.seams import Responder, faults

__all__ = ["NUMBER", "address", "server_for", "watch"]

NUMBER: Final = 3
"""Where a packet has its number, which is 0 for a command."""


def address(connection: Any) -> tuple[str, int | None]:
    """Say where a connection leads: host and port; a path and None.

    Args:
        connection: the driver's.
    """
    if connection.unix_socket:
        return str(connection.unix_socket), None
    return str(connection.host), connection.port


def _database(connection: Any) -> str:
    name = connection.db or ""
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
