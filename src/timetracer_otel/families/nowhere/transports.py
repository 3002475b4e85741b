"""An asyncio transport that reaches nowhere, for any loop; and the pair of streams that stands on one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any

from timetracer_otel.families.nowhere.dialogue import Dialogue, End, Fail, Reply, Wait
from timetracer_otel.families.nowhere.peer import Peer

__all__ = ["Transport", "connection", "streams"]


class Transport(asyncio.Transport):
    """Stands where a client's protocol has its connection.

    A protocol is never called from within ``write``: some in C do not survive that. It gets one piece a turn of the
    loop.

    Args:
        loop: of the client.
        protocol: the client's; it is told of the connection by who makes that.
        dialogue: says what the peer answers.
        extra: what ``get_extra_info`` gives.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: Any,
        dialogue: Dialogue[bytes],
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(extra)
        self.dialogue = dialogue
        self._loop = loop
        self._protocol = protocol
        self._later: asyncio.TimerHandle | None = None
        self._paused = self._scheduled = self._closing = False
        self._rests = False
        """Whether the peer waits for ever, or until something else happens."""
        self._sends_no_more = False
        self._context = copy_context()
        self._peer = Peer(dialogue, self._told)
        self._schedule()

    def write(self, data: Any) -> None:
        """Take what the client sends; a miss is raised here, where it was asked."""
        if self._closing or self._sends_no_more:
            return
        try:
            self._peer.feed(bytes(data))
        except Exception as error:  # noqa: BLE001 - whatever it is, the protocol may have to be told of it
            self.refused(error)
        self.go_on()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """As :meth:`write`."""
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        """Send nothing more."""
        if not self._sends_no_more:
            self._sends_no_more = True
            self._peer.shut()
            self.go_on()

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    # What a protocol of its own kind may do otherwise.

    def refused(self, error: Exception) -> None:
        """Let the client know that what it sends is not answered.

        Args:
            error: the miss, or what sending raised.
        """
        raise error

    def failed(self, make: Callable[[], BaseException]) -> None:
        """Break the connection.

        Args:
            make: gives the reason.
        """
        try:
            error = make()
        except Exception as miss:  # noqa: BLE001 - raised here it would only be logged by the loop
            error = miss
        self.lost(error if isinstance(error, Exception) else None)

    def drained(self) -> None:
        """Nothing more is to come for now."""

    def end(self) -> None:
        """Let the client know that the peer says nothing more."""
        if not self._protocol.eof_received():
            self.lost(None)

    def lost(self, error: Exception | None) -> None:
        """Let the client know that the connection is no more.

        Args:
            error: why; None when nothing is wrong.
        """
        if not self._closing:
            self._closing = True
            self._protocol.connection_lost(error)
            self.dialogue.close()

    # Giving what is to come, a piece each turn of the loop.

    def _told(self) -> None:
        """By any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.go_on, context=self._context.copy())

    def go_on(self) -> None:
        """Give what is to come: something has changed."""
        self._rests = False
        self._schedule()

    def _schedule(self) -> None:
        held = self._paused or self._rests or self._later is not None
        if not (self._scheduled or self._closing or held):
            self._scheduled = True
            self._loop.call_soon(self._step)

    def _step(self) -> None:
        self._scheduled = False
        if self._paused or self._closing:
            return
        try:
            reply = self._next()
        except Exception as error:  # noqa: BLE001 - raised here it would only be logged by the loop
            self.failed(_giving(error))
            return
        if reply is None:
            self.drained()
            return
        self._give(reply)
        self._schedule()

    def _next(self) -> Reply[bytes] | None:
        return self._peer.next()

    def _give(self, reply: Reply[bytes]) -> None:
        match reply:
            case Wait(seconds=None):
                self._rests = True
            case Wait():
                self._later = self._loop.call_later(reply.seconds or 0.0, self._waited)
            case End():
                self.end()
            case Fail():
                self.failed(reply.make)
            case _:
                self._received(reply)

    def _waited(self) -> None:
        self._later = None
        self._schedule()

    def _received(self, data: bytes) -> None:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return
        left = memoryview(data)
        while left:
            with memoryview(self._protocol.get_buffer(len(left))) as buffer:  # some grow it when it is let go
                size = min(len(buffer), len(left))
                buffer[:size] = left[:size]
            self._protocol.buffer_updated(size)
            left = left[size:]

    # Its state.

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another protocol from now on."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The client's."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closing

    def close(self) -> None:
        """Forget what is to come."""
        if self._closing:
            return
        self._closing = True
        if self._later is not None:
            self._later.cancel()
        self._loop.call_soon(self._protocol.connection_lost, None)
        self.dialogue.close()

    def forget(self) -> None:
        """Drop what was not given: nobody waits for it any more."""
        self._peer.forget()
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._rests = False

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
        return not (self._paused or self._closing)

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be sent."""
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """None is reached."""
        return (0, 0)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """None is reached."""


def _giving(error: Exception) -> Callable[[], BaseException]:
    return lambda: error


class _Reader(asyncio.StreamReader):
    """A reader that says when its client waits."""

    asked: Callable[[], None]

    async def _wait_for_data(self, func_name: str) -> None:
        self._loop.call_soon(self.asked)  # type: ignore[attr-defined]  # a StreamReader's own
        await super()._wait_for_data(func_name)  # type: ignore[misc]  # what each method of a StreamReader waits by

    @property
    def waits(self) -> bool:
        """Whether its client waits."""
        return self._waiter is not None  # type: ignore[attr-defined]  # as above


class _ReadTransport(Transport):
    """Below a reader, of which is known when it waits: the dialogue may have something to say to that."""

    reader: _Reader

    def _next(self) -> Reply[bytes] | None:
        return self._peer.awaited() if self.reader.waits else self._peer.next()


def connection(
    factory: Callable[[], Any], dialogue: Dialogue[bytes], extra: dict[str, Any] | None = None
) -> tuple[Transport, Any]:
    """Give what ``loop.create_connection`` does.

    Args:
        factory: makes the protocol.
        dialogue: says what the peer answers.
        extra: what the transport's ``get_extra_info`` gives.
    """
    protocol = factory()
    transport = Transport(asyncio.get_running_loop(), protocol, dialogue, extra)
    protocol.connection_made(transport)
    return transport, protocol


def streams(
    dialogue: Dialogue[bytes], limit: int = 2**16, extra: dict[str, Any] | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Give what ``asyncio.open_connection`` does.

    Args:
        dialogue: says what the peer answers, also when the client waits.
        limit: of the reader's buffer.
        extra: what the writer's ``get_extra_info`` gives.
    """
    loop = asyncio.get_running_loop()
    reader = _Reader(limit=limit, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport = _ReadTransport(loop, protocol, dialogue, extra)
    transport.reader, reader.asked = reader, transport.go_on
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
