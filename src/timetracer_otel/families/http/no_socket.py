"""A socket that reaches nowhere for http.client: takes a client's HTTP/1 requests, gives the recorded responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from timetracer_otel.families.http import family
from timetracer_otel.families.http.dialogue import Answering, Exchange
from timetracer_otel.families.http.messages import Reply
from timetracer_otel.families.http.rendering import wire
from timetracer_otel.families.nowhere import END
from timetracer_otel.families.nowhere import Reply as Said
from timetracer_otel.families.nowhere.sockets import Socket

__all__ = ["NoSocket"]

_SENDING: Final = frozenset({"connect", "send"})
_BEFORE_HEAD: Final = _SENDING | {"head"}
"""Phases in which an exchange fails, see :data:`messages.PHASE`."""


class _Exchanges(Exchange):
    """One exchange after the other.

    What one failed with before its response's head is whole comes when that is read: a response without its file could
    not be closed.
    """

    def feed(self, data: bytes) -> Iterable[Said[bytes]]:
        if self.is_asked:
            self._begin()
        return super().feed(data)

    def awaited(self) -> Iterable[Said[bytes]]:
        return (END,) if self.reply is None else super().awaited()

    def response(self, reply: Reply) -> Iterable[bytes]:
        return () if reply.phase in _BEFORE_HEAD else wire(reply, self.method)


class NoSocket(Socket):
    """Stands where a client has its socket.

    Args:
        answer: gives the recorded reply to a whole request: its head and its body.
        is_over: whether nothing is answered any more.
    """

    def __init__(self, answer: Answering, is_over: Callable[[], bool]) -> None:
        self.exchange = _Exchanges(answer)
        super().__init__(self.exchange)
        self._is_over = is_over

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Take what the client sends; errors of sending come where they came."""
        if self.exchange.is_asked:
            self.forget()
        super().sendall(data, flags)
        reply, live = self.exchange.reply, self.exchange.live
        if reply is not None:
            if reply.phase in _SENDING:
                family.raise_error(reply, live)
            family.raise_from_sending(reply, live)

    def fileno(self) -> int:
        """A descriptor, for clients that poll.

        It is readable after the replay, which to a pool of connections means that the peer has closed this one.
        """
        if self._is_over():
            self.end()
        return super().fileno()
