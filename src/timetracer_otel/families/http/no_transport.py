"""An asyncio transport that reaches nowhere for aiohttp: takes its HTTP/1 request, gives the recorded response."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from timetracer_otel.families.http.dialogue import Answering, Exchange
from timetracer_otel.families.http.family import PATIENCE, too_far
from timetracer_otel.families.http.messages import Reply
from timetracer_otel.families.http.rendering import wire
from timetracer_otel.families.nowhere.transports import Transport
from timetracer_otel.seams import exceptions

__all__ = ["NoTransport"]


class _Exchange(Exchange):
    def response(self, reply: Reply) -> Iterable[bytes]:
        return wire(reply, self.method) if reply.status or _breaks_in_head(reply) else ()


class NoTransport(Transport):
    """Stands where a client's protocol has its connection, for one exchange.

    Args:
        loop: of the client.
        protocol: the client's; takes the response.
        answer: gives the recorded reply to a whole request: its head and its body.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any, answer: Answering) -> None:
        self.exchange = _Exchange(answer)
        super().__init__(loop, protocol, self.exchange)
        self._ended: Reply | None = None

    def refused(self, error: Exception) -> None:
        """Tell the protocol: where the client writes it would be wrapped."""
        self._loop.call_soon(self._protocol.set_exception, error)

    def drained(self) -> None:
        """Let the client have what the recording says of the end of the response."""
        reply = self.exchange.reply
        if reply is None or reply is self._ended:
            return
        self._ended = reply
        if _breaks_in_head(reply):
            self._end()  # the client makes its own error of that
        elif reply.error is not None:
            self._give_error(reply, reply.error)
        elif reply.cut or (reply.status and _ends_by_close(reply)):
            self._end()
        elif reply.gone is not None:
            self._loop.call_later(PATIENCE, self._end_of_recording, reply)
        elif not reply.complete:
            self._end_of_recording(reply)

    def _end(self) -> None:
        self._protocol.eof_received()
        self.lost(None)

    def _give_error(self, reply: Reply, recorded: str) -> None:
        """Fail as the exchange did, but where the app itself gave up waiting, and will again."""
        if not (exceptions.is_cancelled(recorded) or (reply.status and exceptions.is_own_timeout(recorded))):
            self.failed(lambda: self.exchange.error(reply))

    def failed(self, make: Callable[[], BaseException]) -> None:
        """Let the client have what ended the exchange; made only now, because its objects are known only now."""
        try:
            error = make()
        except Exception as miss:  # noqa: BLE001 - raised here it would only be logged by the loop
            self._fail_payload(miss)
            return
        reply = self.exchange.reply
        if reply is None or not reply.status:
            self._protocol.set_exception(error)
        elif isinstance(error, TimeoutError):
            self._fail_payload(error)
        else:
            self.lost(error if isinstance(error, Exception) else None)

    def _fail_payload(self, error: BaseException) -> None:
        self._protocol.set_exception(error)
        payload = getattr(self._protocol, "_payload", None)
        if payload is not None:
            payload.set_exception(error)

    def _end_of_recording(self, reply: Reply) -> None:
        """Let the app have what was recorded; it fails where it waits for more, if it does."""
        payload = getattr(self._protocol, "_payload", None)
        if payload is not None and payload._waiter is not None:  # noqa: SLF001 - aiohttp tells nobody who waits
            payload.set_exception(too_far(reply))
        elif payload is not None:
            payload._timer = _NothingMore(reply)  # noqa: SLF001 - what it enters to wait


class _NothingMore:
    """Stands for the timer of a payload, which runs while an app waits for more than there is.

    Args:
        reply: that was recorded up to here.
    """

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __enter__(self) -> None:
        raise too_far(self._reply)

    def __exit__(self, *_: object) -> None:
        """Nothing was entered."""

    def assert_timeout(self) -> None:
        """No time is up."""


def _breaks_in_head(reply: Reply) -> bool:
    return not reply.status and reply.syntax is not None and bool(reply.cut)


def _ends_by_close(reply: Reply) -> bool:
    """Whether only the end of the connection ends the body (RFC 9112, section 6.3)."""
    chunked = "chunked" in reply.header("transfer-encoding").lower()
    return reply.complete and not chunked and not reply.header("content-length")
