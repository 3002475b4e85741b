"""A connection that reaches nowhere: takes a client's HTTP/1 request, gives the recorded response."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from typing import Any

from timetracer_otel.families.http import family
from timetracer_otel.families.http.messages import Reply
from timetracer_otel.families.http.rendering import wire
from timetracer_otel.families.http.response_file import RecordedFile
from timetracer_otel.families.http.wire import Message

__all__ = ["NoSocket"]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class NoSocket:
    """Stands where a client has its socket.

    Args:
        answer: gives the recorded reply to a whole request: its head and its body.
        is_over: whether nothing is answered any more.
    """

    def __init__(self, answer: Callable[[Message, bytes], Reply], is_over: Callable[[], bool]) -> None:
        self._answer = answer
        self._is_over = is_over
        self._timeout: float | None = None
        self._begin()
        self.live: tuple[object, ...] = ()
        """The client's objects that a recorded exception may hold."""

    def _begin(self) -> None:
        self._message = Message()
        self._body: list[bytes | memoryview] = []
        self._reply: Reply | None = None

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """Take what the client sends; a whole request is answered at once, so that errors come where they came."""
        data = bytes(memoryview(data))  # raises TypeError for what a socket does not take either
        if self._message.complete:
            self._begin()
        self._body.extend(piece for piece, _ in self._message.feed(data))
        if self._message.complete:
            self._reply = self._answer(self._message, b"".join(self._body))
            self._raise("connect", "send")
            family.raise_from_sending(self._reply, self.live)

    def send(self, data: Any, flags: int = 0) -> int:
        """As :meth:`sendall`."""
        self.sendall(data, flags)
        return len(data)

    def _raise(self, *phases: str) -> None:
        if self._reply is not None and self._reply.phase in phases:
            family.raise_error(self._reply, self.live)

    def makefile(self, mode: str = "rb", buffering: int | None = None, **_options: Any) -> Any:
        """Give the response's file."""
        if "w" in mode:
            raise io.UnsupportedOperation("the request goes by send()")
        if self._reply is None:
            return io.BytesIO(_CONTINUE)
        reply = self._reply
        method = self._message.start.partition(" ")[0]
        # What failed before the head was whole fails when it is read: a response without its file cannot be closed.
        pieces = iter(()) if reply.phase == "head" else wire(reply, method)
        raw = RecordedFile(pieces, reply, self.live)
        return raw if buffering == 0 else io.BufferedReader(raw)

    def fileno(self) -> int:
        """A descriptor, for clients that poll.

        It is readable while the client waits to be told to go on, and after the replay, which to a pool of connections
        means that the peer has closed this one.
        """
        return _readable() if self._waits_to_continue() or self._is_over() else _silent()

    def _waits_to_continue(self) -> bool:
        headers = {name.lower(): value for name, value in self._message.headers}
        return bool(self._message.start) and not self._message.complete and "expect" in headers

    def settimeout(self, timeout: float | None) -> None:
        """Keep a timeout that nothing waits for."""
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        """The timeout."""
        return self._timeout

    def setsockopt(self, *_option: object) -> None:
        """Take an option: there is nothing to set."""

    def shutdown(self, _how: int) -> None:
        """Do nothing, as there is nothing to shut."""

    def close(self) -> None:
        """Do nothing: a response that is still read keeps its file, as with a real socket."""

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: FBT001, FBT002 - the signature of ssl.SSLSocket
        """No certificate was recorded."""
        return b"" if binary_form else {}

    def version(self) -> None:
        """No TLS version was recorded."""

    def cipher(self) -> None:
        """No TLS cipher was recorded."""


_pipes: dict[str, tuple[int, int, int]] = {}


def _silent() -> int:
    return _pipe("silent")


def _readable() -> int:
    return _pipe("readable")


def _pipe(kind: str) -> int:
    """One pipe a process and kind, for all connections."""
    pid, reading, _ = _pipes.get(kind, (0, -1, -1))
    if pid != os.getpid():
        reading, writing = os.pipe()
        _pipes[kind] = (os.getpid(), reading, writing)
        if kind == "readable":
            os.write(writing, b"!")
    return reading
