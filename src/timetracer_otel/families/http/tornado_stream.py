"""Connections of Tornado's simple client: its IOStream seen while bytes pass, or one that reaches nowhere.

A replay lets the client do all of its own work: it parses, unpacks and follows redirects.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tornado.iostream import BaseIOStream, UnsatisfiableReadError

from timetracer_otel.families.http.connection import Passing
from timetracer_otel.families.http.dialogue import Answering, Exchange
from timetracer_otel.families.nowhere import End, Fail, Peer, Wait
from timetracer_otel.seams import faults

__all__ = ["NoStream", "observe"]


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

    def __init__(self, answer: Answering, fail: Callable[[BaseException], object], max_buffer_size: int) -> None:
        super().__init__(max_buffer_size=max_buffer_size)
        self._peer = Peer(Exchange(answer))
        self._fail = fail
        self._piece = memoryview(b"")
        self._may_give = False
        self._scheduled = False

    def fileno(self) -> int:
        """There is none; the loop is never asked to watch it."""
        return -1

    def close_fd(self) -> None:
        """Forget what is to come."""
        self._peer.forget()
        self._piece = memoryview(b"")

    def get_fd_error(self) -> None:
        """Nothing goes wrong below."""

    def write_to_fd(self, data: memoryview) -> int:
        """Take what the client sends; a request that is whole is answered."""
        self._peer.feed(bytes(data))
        self._schedule()
        return len(data)

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Give at most one piece each time that the client waits."""
        if not self._may_give or not self._piece:
            return None
        self._may_give = False
        taken, self._piece = self._piece[: len(buf)], self._piece[len(buf) :]
        memoryview(buf)[: len(taken)] = taken
        return len(taken)

    def _add_io_state(self, state: int) -> None:
        self._schedule()  # it waits: what would make the loop watch the descriptor

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.io_loop.add_callback(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self.closed():
            return
        reply = self._piece or (self._peer.awaited() if self.reading() else self._peer.next())
        match reply:
            case None:
                return
            case Wait():
                self._scheduled = True
                self.io_loop.call_later(reply.seconds or 0.0, self._step)
            case End():
                self.close()  # as a peer that has sent all; the client closes its side by itself
            case Fail():
                self._fail(_made(reply))
            case _:
                self._piece = memoryview(reply)
                self._read_piece()

    def _read_piece(self) -> None:
        self._may_give = True
        try:
            self._handle_read()
        except UnsatisfiableReadError as error:  # as the handler of events does, which is not called here
            self.close(exc_info=error)
        if self.reading():  # that was not enough
            self._schedule()


def _made(failure: Fail) -> BaseException:
    try:
        return failure.make()
    except Exception as miss:  # noqa: BLE001 - raised here it would only be logged by the loop
        return miss
