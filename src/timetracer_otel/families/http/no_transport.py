"""An asyncio transport that reaches nowhere: takes a client's HTTP/1 request, gives the recorded response."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from timetracer_otel.families.http.family import PATIENCE, error_of, too_far
from timetracer_otel.families.http.messages import Reply
from timetracer_otel.families.http.rendering import wire
from timetracer_otel.families.http.wire import Message
from timetracer_otel.seams import exceptions

__all__ = ["NoTransport"]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class NoTransport(asyncio.Transport):
    """Stands where a client's protocol has its connection.

    Args:
        loop: of the client.
        protocol: the client's; takes the response.
        answer: gives the recorded reply to a whole request: its head and its body.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, protocol: Any, answer: Callable[[Message, bytes], Reply]
    ) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._answer = answer
        self._message: Message = Message()
        self._body: list[bytes | memoryview] = []
        self._to_come: deque[Callable[[], None]] = deque()
        self._paused = False
        self._scheduled = False
        self._closing = False
        self._told_to_go_on = False
        self.live: tuple[object, ...] = ()
        """The client's objects that a recorded exception may hold."""

    def write(self, data: Any) -> None:
        """Take what the client sends; a request that is whole is answered."""
        message = self._message
        if message.complete:
            return
        self._body.extend(piece for piece, _ in self._message.feed(bytes(data)))
        if self._message.complete:
            try:
                self._give(self._answer(self._message, b"".join(self._body)))
            except Exception as error:  # noqa: BLE001 - a miss; where the client writes it would be wrapped
                self._later(partial(self._protocol.set_exception, error))
        elif not self._told_to_go_on and any(name.lower() == "expect" for name, _ in self._message.headers):
            self._told_to_go_on = True
            self._later(lambda: self._protocol.data_received(_CONTINUE))

    def writelines(self, list_of_data: Any) -> None:
        """As :meth:`write`."""
        self.write(b"".join(list_of_data))

    def _give(self, reply: Reply) -> None:
        broken = not reply.status and reply.syntax is not None and bool(reply.cut)
        if reply.status or broken:
            for piece in wire(reply, self._message.start.partition(" ")[0]):
                self._later(partial(self._protocol.data_received, piece))
        if broken:
            self._later(self._end)  # in the middle of the head: the client makes its own error of that
        elif reply.error is not None:
            self._give_error(reply)
        elif reply.cut or (reply.status and _ends_by_close(reply)):
            self._later(self._end)
        elif reply.gone is not None:
            self._later(lambda: self._end_later(reply))
        elif not reply.complete:
            self._later(lambda: self._end_of_recording(reply))

    def _give_error(self, reply: Reply) -> None:
        recorded = reply.error or ""
        if exceptions.is_cancelled(recorded) or (reply.status and exceptions.is_own_timeout(recorded)):
            return  # the app itself gave up waiting, and will again
        self._later(lambda: self._fail(reply))

    def _fail(self, reply: Reply) -> None:
        """Let the client have what ended the exchange; made only now, because its objects are known only now."""
        try:
            error = error_of(reply, self.live)
        except Exception as miss:  # noqa: BLE001 - raised here it would only be logged by the loop
            self._fail_payload(miss)
            return
        if not reply.status:
            self._protocol.set_exception(error)
        elif isinstance(error, TimeoutError):
            self._fail_payload(error)
        else:
            self._lost(error if isinstance(error, Exception) else None)

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

    def _end_later(self, reply: Reply) -> None:
        self._loop.call_later(PATIENCE, self._end_of_recording, reply)

    def _later(self, step: Callable[[], None]) -> None:
        self._to_come.append(step)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled and not self._paused and self._to_come:
            self._scheduled = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self._to_come and not self._paused and not self._closing:
            self._to_come.popleft()()
            self._schedule()

    def _end(self) -> None:
        self._protocol.eof_received()
        self._lost(None)

    def _lost(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(error)

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closing

    def close(self) -> None:
        """Forget what is to come."""
        if not self._closing:
            self._closing = True
            self._to_come.clear()
            self._loop.call_soon(self._protocol.connection_lost, None)

    def abort(self) -> None:
        """As :meth:`close`."""
        self.close()

    def pause_reading(self) -> None:
        """Hold what is to come."""
        self._paused = True

    def resume_reading(self) -> None:
        """Go on."""
        self._paused = False
        self._schedule()

    def is_reading(self) -> bool:
        """Whether what is to come is given."""
        return not self._paused

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be sent."""
        return 0


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


def _ends_by_close(reply: Reply) -> bool:
    """Whether only the end of the connection ends the body (RFC 9112, section 6.3)."""
    chunked = "chunked" in reply.header("transfer-encoding").lower()
    return reply.complete and not chunked and not reply.header("content-length")
