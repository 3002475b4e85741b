"""A socket that a client may still hold when the replay that it stands for is over."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from timetracer_otel import seams
from timetracer_otel.families.nowhere.dialogue import Dialogue
from timetracer_otel.families.nowhere.sockets import Socket
from timetracer_otel.seams import Responder

__all__ = ["LeftSocket", "Limited"]


class Limited(Dialogue[bytes]):
    """A dialogue that knows when its replay is over.

    Args:
        plugin: the integration's name.
        responder: of that.
    """

    def __init__(self, plugin: str, responder: Responder) -> None:
        self._plugin = plugin
        self._responder = responder

    @property
    def is_of_the_past(self) -> bool:
        """Whether the replay that it answers for is no longer in force."""
        return seams.responder(self._plugin) is not self._responder

    def refuse_if_over(self) -> None:
        """Answer nothing any more once the replay is over.

        Raises:
            ConnectionResetError: it is.
        """
        if self.is_of_the_past:
            raise ConnectionResetError(errno.ECONNRESET, "the replay of this connection is over")


class LeftSocket(Socket):
    """Reaches nowhere. When its replay is over, the client gets another one: many try only once.

    Args:
        dialogue: says what is received.
        address: of the peer, as the client believes.
        reconnect: has the client connect again, and gives its new socket.
    """

    def __init__(self, dialogue: Limited, address: Any, reconnect: Callable[[], Any]) -> None:
        super().__init__(dialogue, address)
        self._limited = dialogue
        self._reconnect = reconnect

    @property
    def is_of_the_past(self) -> bool:
        """Whether the replay that it stands for is over."""
        return self._limited.is_of_the_past

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send, on another socket where the replay is over."""
        if self.is_of_the_past:
            self._reconnect().sendall(data)
        else:
            super().sendall(data, flags)
