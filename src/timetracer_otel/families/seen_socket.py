"""A connected socket of a client that is looked at."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["SeenSocket", "Tap"]


class Tap(Protocol):
    """What sees what passes."""

    def received(self, data: bytes | memoryview) -> None:
        """Take what has arrived; nothing at the end."""
        ...

    def broke(self, error: BaseException, *, sends: bool = False) -> None:
        """Take what reading or sending raised."""
        ...


class SeenSocket(ABC):
    """Stands where a client has its socket; what passes is told to a tap.

    Args:
        sock: the client's own, connected.
        tap: sees what passes.
    """

    __slots__ = ("_sock", "_tap")

    def __init__(self, sock: Any, tap: Tap) -> None:
        self._sock = sock
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    @abstractmethod
    def _sends(self, data: Any) -> None:
        """Tell the tap of what is about to be sent."""

    def sendall(self, data: Any, *args: Any) -> None:
        """Send, as the socket does."""
        self._sends(data)
        try:
            self._sock.sendall(data, *args)
        except BaseException as error:
            self._tap.broke(error, sends=True)
            raise

    def recv(self, *args: Any) -> Any:
        """Receive, as the socket does."""
        data = self._receive(self._sock.recv, *args)
        if not data or not _peeks(args):  # the end is seen by looking, too
            self._tap.received(data)
        return data

    def recv_into(self, buffer: Any, *args: Any) -> Any:
        """Receive, as the socket does."""
        size = self._receive(self._sock.recv_into, buffer, *args)
        if not _peeks(args):
            self._tap.received(memoryview(buffer)[:size])
        return size

    def _receive(self, receive: Callable[..., Any], *args: Any) -> Any:
        try:
            return receive(*args)
        except BlockingIOError:
            raise  # nothing has come yet
        except BaseException as error:
            self._tap.broke(error)
            raise


def _peeks(args: tuple[Any, ...]) -> bool:
    """Whether data is only looked at, and comes again."""
    return len(args) > 1 and bool(args[-1] & socket.MSG_PEEK)
