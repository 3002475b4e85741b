"""Connections of Tornado's simple client: its IOStream seen while bytes pass, or one that reaches nowhere.

A replay lets the client do all of its own work: it parses, unpacks and follows redirects.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from tornado.iostream import BaseIOStream, UnsatisfiableReadError

from timetracer_otel.families.http.connection import Passing
from timetracer_otel.families.http.family import PATIENCE, error_of, too_far
from timetracer_otel.families.http.messages import Reply
from timetracer_otel.families.http.rendering import wire
from timetracer_otel.families.http.wire import Message
from timetracer_otel.seams import faults

__all__ = ["NoStream", "observe"]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def observe(stream: Any, passing: Passing) -> None:
    """Let an exchange see what passes on a stream. The two methods of the object are shadowed; it stays what it is.

    Args:
        stream: a connected IOStream, also with TLS: what passes here is plain.
        passing: the exchange.
    """
    read, write = stream.read_from_fd, stream.write_to_fd

    def seen(step: str, *args: Any) -> None:
        try:
            getattr(passing, step)(*args)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report(f"tornado.{step}", error)

    def read_from_fd(buffer: Any) -> int | None:
        try:
            count: int | None = read(buffer)
        except OSError as error:
            seen("lost", error)
            raise
        if count:
            seen("arrived", bytes(memoryview(buffer)[:count]), time.monotonic_ns())
        elif count == 0:
            seen("ended_by_peer")
            seen("lost", None)
        return count

    def write_to_fd(data: memoryview) -> int:
        whole = bytes(data)
        count: int = write(data)
        seen("written", whole[:count])
        return count

    stream.read_from_fd, stream.write_to_fd = read_from_fd, write_to_fd


class NoStream(BaseIOStream):
    """Takes a client's request, gives the recorded response, a piece whenever the client waits for one.

    Args:
        answer: gives the recorded reply to a whole request: its head and its body.
        fail: lets the client fail with what the recorded exchange ended with.
        max_buffer_size: the client's.
    """

    def __init__(
        self,
        answer: Callable[[Message, bytes], Reply],
        fail: Callable[[BaseException], object],
        max_buffer_size: int,
    ) -> None:
        super().__init__(max_buffer_size=max_buffer_size)
        self._answer = answer
        self._fail = fail
        self._message = Message()
        self._body: list[bytes | memoryview] = []
        self._to_come: deque[memoryview] = deque()
        self._at_end: Callable[[], object] | None = None
        self._may_give = False
        self._scheduled = False
        self._told_to_go_on = False

    def fileno(self) -> int:
        """There is none; the loop is never asked to watch it."""
        return -1

    def close_fd(self) -> None:
        """Forget what is to come."""
        self._to_come.clear()
        self._at_end = None

    def get_fd_error(self) -> None:
        """Nothing goes wrong below."""

    def write_to_fd(self, data: memoryview) -> int:
        """Take what the client sends; a request that is whole is answered."""
        if not self._message.complete:
            self._body.extend(piece for piece, _ in self._message.feed(bytes(data)))
            self._go_on(self._message)
        return len(data)

    def _go_on(self, message: Message) -> None:
        if message.complete:
            self._give(self._answer(message, b"".join(self._body)))
        elif not self._told_to_go_on and any(name.lower() == "expect" for name, _ in message.headers):
            self._told_to_go_on = True
            self._to_come.append(memoryview(_CONTINUE))
            self._schedule()

    def _give(self, reply: Reply) -> None:
        if reply.status:
            self._to_come.extend(map(memoryview, wire(reply, self._message.start.partition(" ")[0])))
        error = error_of(reply)
        if error is not None:
            self._at_end = partial(self._fail, error)
        elif reply.complete or reply.cut:
            self._at_end = self.close  # as a peer that has sent all; the client closes its side by itself
        elif reply.gone is not None:
            self._at_end = lambda: self.io_loop.call_later(PATIENCE, lambda: self._fail(too_far(reply)))
        else:
            self._at_end = lambda: self._fail(too_far(reply))
        self._schedule()

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Give at most one piece each time that the client waits."""
        if not self._may_give or not self._to_come:
            return None
        self._may_give = False
        piece = self._to_come.popleft()
        taken = piece[: len(buf)]
        if len(taken) < len(piece):
            self._to_come.appendleft(piece[len(taken) :])
        memoryview(buf)[: len(taken)] = taken
        return len(taken)

    def _add_io_state(self, state: int) -> None:
        self._schedule()  # it waits: what would make the loop watch the descriptor

    def _schedule(self) -> None:
        if not self._scheduled and (self._to_come or self._at_end is not None):
            self._scheduled = True
            self.io_loop.add_callback(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self.closed():
            return
        if self._to_come:
            self._may_give = True
            try:
                self._handle_read()
            except UnsatisfiableReadError as error:  # as the handler of events does, which is not called here
                self.close(exc_info=error)
            if self.reading():  # that was not enough
                self._schedule()
        elif self._at_end is not None and self.reading():
            end, self._at_end = self._at_end, None
            end()
