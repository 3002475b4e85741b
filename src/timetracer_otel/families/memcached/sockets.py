"""A connected socket of a client that is looked at."""

from __future__ import annotations

from typing import Any

from timetracer_otel.families.memcached.recording import Tap
from timetracer_otel.families.seen_socket import SeenSocket as Seen

__all__ = ["SeenSocket"]


class SeenSocket(Seen):
    """Stands where a client has its socket.

    Args:
        sock: the client's own, connected.
        tap: sees what passes.
    """

    __slots__ = ()
    _tap: Tap

    def _sends(self, data: Any) -> None:
        self._tap.sends(bytes(data))

    def sendall(self, data: Any, *args: Any) -> None:
        """Send, as the socket does."""
        super().sendall(data, *args)
        self._tap.sent()

    def close(self) -> None:
        """Close it."""
        self._tap.ended()
        self._sock.close()
