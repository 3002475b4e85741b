"""Commands that go out in a replay of which the others are answered (``--on-miss live``).

Each goes over a plain connection of its own, without a log-in and without TLS: the driver's own connections reach
nowhere, and believe that they have logged in.
"""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final

from timetracer_otel import seams
from timetracer_otel.families.mongodb import wire

__all__ = ["exchange", "is_open"]

_SECONDS: Final = 60.0
_HEADER: Final = Struct("<iiii")
"""Length of the message, its id, the id of what it answers, its kind (MongoDB wire protocol, MsgHeader)."""
_DOCUMENT_AT: Final = 21
"""Where the document of an OP_MSG begins that has one section: behind header, flags and the section's kind."""
_open: Final[set[int]] = set()
"""Ids of the cursors that servers have opened for such commands."""


def is_open(cursor_id: int | None) -> bool:
    """Whether a cursor is a real server's.

    Args:
        cursor_id: as the app was given it.
    """
    return cursor_id in _open


def exchange(address: tuple[str, int | None], message: bytes, *, answered: bool) -> bytes | None:
    """Send a command to the real server.

    Args:
        address: host and port, or the path of a socket and None.
        message: as the driver has written it.
        answered: whether the server says anything to it.

    Returns:
        The document that it says; None of a command that it says nothing to.

    Raises:
        OSError: it cannot be reached, or ends the connection.
    """
    token = seams.live_io.set(True)
    try:
        with _connected(address) as connection:
            connection.sendall(message)
            document = _reply(connection) if answered else None
    finally:
        seams.live_io.reset(token)
    if document is not None and (cursor := wire.cursor_id(document)):
        _open.add(cursor)
    return document


def _connected(address: tuple[str, int | None]) -> socket.socket:
    host, port = address
    if port is not None:
        return socket.create_connection((host, port), timeout=_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_SECONDS)
    connection.connect(host)
    return connection


def _reply(connection: socket.socket) -> bytes:
    length = _HEADER.unpack(_received(connection, _HEADER.size))[0]
    return _received(connection, length - _HEADER.size)[_DOCUMENT_AT - _HEADER.size :]


def _received(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError("the server has ended the connection: does it ask for a log-in, or for TLS?")
        data += piece
    return bytes(data)
