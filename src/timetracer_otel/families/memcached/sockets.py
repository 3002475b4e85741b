"""A connected socket of a client that is looked at."""

from __future__ import annotations

from typing import Any

from timetracer_otel.families.memcached.recording import Tap

__all__ = ["SeenSocket"]


class SeenSocket:
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

    def sendall(self, data: Any, *args: Any) -> None:
        """Send, as the socket does."""
        self._tap.sends(bytes(data))
        try:
            self._sock.sendall(data, *args)
        except BaseException as error:
            self._tap.broke(error, sends=True)
            raise
        self._tap.sent()

    def recv(self, *args: Any) -> Any:
        """Receive, as the socket does."""
        data = self._receive(self._sock.recv, *args)
        self._tap.received(data)
        return data

    def recv_into(self, buffer: Any, *args: Any) -> Any:
        """Receive, as the socket does."""
        size = self._receive(self._sock.recv_into, buffer, *args)
        self._tap.received(memoryview(buffer)[:size])
        return size

    def _receive(self, receive: Any, *args: Any) -> Any:
        try:
            return receive(*args)
        except BlockingIOError:
            raise  # nothing has come yet
        except BaseException as error:
            self._tap.broke(error)
            raise

    def close(self) -> None:
        """Close it."""
        self._tap.ended()
        self._sock.close()
