"""What an HTTP/1 peer that is not there says: to a whole request the recorded response, as its bytes came."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Final

from timetracer_otel.families.entry.exchange import ClientGone
from timetracer_otel.families.http import family
from timetracer_otel.families.http.messages import Reply
from timetracer_otel.families.http.rendering import wire
from timetracer_otel.families.http.wire import Message
from timetracer_otel.families.nowhere import END, Dialogue, Fail, Wait
from timetracer_otel.families.nowhere import Reply as Said

__all__ = ["Answering", "Exchange"]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
Answering = Callable[[Message, bytes], Reply]


class Exchange(Dialogue[bytes]):
    """One request and its response.

    Args:
        answer: gives the recorded reply to a whole request: its head and its body.
    """

    def __init__(self, answer: Answering) -> None:
        self._answer = answer
        self.live: tuple[object, ...] = ()
        """The client's objects that a recorded exception may hold."""
        self._begin()

    def _begin(self) -> None:
        self._message = Message()
        self._body: list[bytes | memoryview] = []
        self._told_to_go_on = False
        self.reply: Reply | None = None

    @property
    def is_asked(self) -> bool:
        """Whether the request is whole."""
        return self._message.complete

    @property
    def method(self) -> str:
        """Of the request."""
        return self._message.start.partition(" ")[0]

    def feed(self, data: bytes) -> Iterable[Said[bytes]]:
        """Take what the client sends; a request that is whole is answered."""
        message = self._message
        if self.is_asked:
            return ()
        self._body.extend(piece for piece, _ in message.feed(data))
        if message.complete:
            self.reply = self._answer(message, b"".join(self._body))
            said = self.response(self.reply)
            return chain((Wait(self.reply.wait),), said) if self.reply.wait else said
        if not self._told_to_go_on and any(name.lower() == "expect" for name, _ in message.headers):
            self._told_to_go_on = True
            return (_CONTINUE,)
        return ()

    def response(self, reply: Reply) -> Iterable[bytes]:
        """The bytes of a response, a piece at a time; none where nothing came.

        Args:
            reply: as recorded.
        """
        return wire(reply, self.method) if reply.status else ()

    def awaited(self) -> Iterable[Said[bytes]]:
        """What the recording says of the end of the response, to a client that reads so far."""
        reply = self.reply
        if reply is None:
            return
        if reply.error is not None:
            yield Fail(lambda: self.error(reply))
        elif reply.complete or reply.cut:
            yield END
        else:
            if reply.gone is not None:
                yield Wait(family.PATIENCE, lambda: _leave_too(reply))
            yield Fail(lambda: family.too_far(reply))

    def error(self, reply: Reply) -> BaseException:
        """Make what ended the exchange.

        Args:
            reply: of which is known that something did.
        """
        error = family.error_of(reply, self.live)
        assert error is not None  # noqa: S101 - it was looked at before
        return error

    def shut(self) -> Iterable[Said[bytes]]:
        """A response is read all the same."""
        return ()


def _leave_too(reply: Reply) -> None:
    """Stop where the live client has left, as the recorded one had."""
    if reply.gone is not None and reply.gone():
        raise ClientGone
