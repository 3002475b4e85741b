"""The connection of the client whose request is debugged: found, muted for runs that nobody sees, shut at the end."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISSOCK
from typing import Final, TypeAlias

__all__ = ["Connection", "is_accepted_or_listens", "send_at_once"]

_FOLDERS: Final = (Path("/proc/self/fd"), Path("/dev/fd"))
_MAPPED: Final = "::ffff:"
_Address: TypeAlias = tuple[str, int]
_Use: TypeAlias = Callable[[socket.socket], object]
_held: list[socket.socket] = []
"""The other ends of muted connections: closed, they would look as if the client had left."""


class Connection:
    """A connection that this process has accepted.

    Args:
        descriptor: of its socket.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @classmethod
    def of(cls, peer: _Address | None) -> Connection | None:
        """Find the connection with a client; None when it cannot be found.

        Args:
            peer: the client's address, as the server says it.
        """
        if peer is not None:
            for descriptor in _sockets():
                if _address(descriptor, socket.socket.getpeername) == _plain(peer):
                    return cls(descriptor)
        return None

    def mute(self) -> None:
        """Let what this process writes go nowhere, and nothing more come; other processes keep the connection."""
        here, there = socket.socketpair()
        _held.append(there)
        os.dup2(here.fileno(), self.descriptor)
        here.close()

    def is_open(self) -> bool:
        """Whether this process has the connection still."""
        return _address(self.descriptor, socket.socket.getpeername) is not None

    def shut(self) -> None:
        """End the connection for all processes; what was written is sent."""
        with suppress(OSError):  # it has ended
            _with_socket(self.descriptor, lambda one: one.shutdown(socket.SHUT_RDWR))


def is_accepted_or_listens(descriptor: int, like: Connection) -> bool:
    """Whether a descriptor is a server's: its listening socket, or another connection that it has accepted.

    Args:
        descriptor: any.
        like: a connection that the server has accepted.
    """
    ours = _address(like.descriptor, socket.socket.getsockname)
    mine = _address(descriptor, socket.socket.getsockname)
    return ours is not None and mine is not None and ours[1] == mine[1] and descriptor != like.descriptor


def send_at_once(port: int) -> None:
    """Let the connections of a listening socket of this process send small messages at once: 40 ms for each answer.

    Args:
        port: at which it listens.
    """
    for descriptor in _sockets():
        address = _address(descriptor, socket.socket.getsockname)
        if address is not None and address[1] == port:
            _with_socket(descriptor, lambda one: one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1))


def _sockets() -> Iterator[int]:
    folder = next(filter(Path.is_dir, _FOLDERS))
    for name in os.listdir(folder):  # noqa: PTH208 - a descriptor that is closed meanwhile is no file
        with suppress(OSError):
            if S_ISSOCK(os.fstat(int(name)).st_mode):
                yield int(name)


def _address(descriptor: int, ask: _Use) -> _Address | None:
    with suppress(OSError):
        found = _with_socket(descriptor, ask)
        if isinstance(found, tuple):
            return _plain(found)
    return None


def _plain(address: tuple[object, ...]) -> _Address:
    return str(address[0]).removeprefix(_MAPPED), int(str(address[1]))


def _with_socket(descriptor: int, use: _Use) -> object:
    borrowed = socket.socket(fileno=descriptor)
    try:
        return use(borrowed)
    finally:
        borrowed.detach()
