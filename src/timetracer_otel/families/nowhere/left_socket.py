"""A socket that a client may still hold when the replay that it stands for is over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from timetracer_otel.families.nowhere.dialogue import Dialogue
from timetracer_otel.families.nowhere.sockets import Socket

__all__ = ["LeftSocket", "Limited"]


class Limited(Dialogue[bytes]):
    """A dialogue that knows when its replay is over."""

    @property
    @abstractmethod
    def is_of_the_past(self) -> bool:
        """Whether the replay that it answers for is no longer in force."""


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
