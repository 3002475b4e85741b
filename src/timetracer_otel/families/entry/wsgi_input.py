"""A WSGI app's input stream, observed: every byte that the app reads is kept, and nothing is read for it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from io import UnsupportedOperation
from typing import Any

import wrapt

from timetracer_otel import spans
from timetracer_otel.families.entry.exchange import expects_body, guarded, held
from timetracer_otel.families.kinds.http import Left, Request
from timetracer_otel.seams.lanes import entered_lane

__all__ = ["ObservedInput", "read_whole"]

_READ_AHEAD = 1 << 16
_now = time.time_ns  # as it is now: what the app reads is replayed


class _Taken:
    """Keeps what the app has taken from the stream so far.

    Args:
        stream: ``wsgi.input``.
        request: gets the bytes.
    """

    __slots__ = ("_at", "_length", "_lost", "_request", "_seen", "stream")

    def __init__(self, stream: Any, request: Request) -> None:
        self.stream = stream
        self._request = request
        self._length = content_length(request)
        self._seen = 0
        self._at = 0
        """Where the app is: before ``_seen`` when it went back, beyond when it went ahead."""
        self._lost = False
        """Whether the app has skipped bytes that nobody saw."""
        request.complete = not expects_body(request)

    @guarded("wsgi.input")
    def note(self, data: bytes, *, end: bool) -> None:
        """Keep what a read returned.

        Args:
            data: the bytes.
            end: whether the read went to the end of the stream.
        """
        request, known = self._request, self._seen - self._at
        self._at += len(data)
        if data and known < 0:
            self._lose()
        elif len(data) > max(known, 0):
            request.body.append(held(data[known:] if known else data))
            lane = entered_lane()
            if lane is not None and lane.entry is request:
                lane.grew(request, len(data))
            self._seen = self._at
            request.complete = False
            if request.left is not None and request.left.during == "request":
                request.left = None  # a server that gives what it has: more has come
        if self._lost or not (self._seen == self._length or (end and self._at == self._seen)):
            return
        if self._length is not None and self._seen < self._length:
            self.break_off()
        else:
            request.complete = True

    @guarded("wsgi.input")
    def break_off(self) -> None:
        """Take note that nothing more will come of a body that was not seen to its end."""
        if not self._request.complete:
            self._request.left = self._request.left or Left("request", _now())

    @guarded("wsgi.input")
    def fell_short(self) -> None:
        """Take note that a read got less than it asked for: a file gives that only at its end, and so do servers."""
        if self._length is not None and self._at == self._seen < self._length and not self._lost:
            self.break_off()

    @guarded("wsgi.input")
    def filled(self, buffer: Any, count: int | None) -> None:
        """Keep what a read put into a buffer."""
        if count is not None:
            view = memoryview(buffer).cast("B")
            self.note(bytes(view[:count]), end=count == 0 and len(view) > 0)

    @guarded("wsgi.input")
    def position(self) -> int | None:
        """Where the stream is, None when it cannot tell."""
        try:
            return int(self.stream.tell())
        except (AttributeError, OSError, ValueError):
            return None

    @guarded("wsgi.input")
    def moved(self, before: int | None, after: int | None) -> None:
        """Follow a seek."""
        if before is None or after is None:
            self._lose()
        else:
            self._at += after - before

    def _lose(self) -> None:
        self._lost = True
        self._request.complete = False


def _wants_all(size: object) -> bool:
    return size is None or (isinstance(size, int) and size < 0)


def _read(taken: _Taken, read: Callable[..., bytes], *args: Any, **kwargs: Any) -> bytes:
    data = read(*args, **kwargs)
    size = next(iter((*args, *kwargs.values())), None)
    taken.note(data, end=_wants_all(size) or (not data and size != 0))
    if isinstance(size, int) and 0 < len(data) < size:
        taken.fell_short()
    return data


def _read_some(taken: _Taken, read: Callable[..., bytes], *args: Any, **kwargs: Any) -> bytes:
    """Pass ``readline`` and ``read1`` on: without a size they do not go to the end."""
    data = read(*args, **kwargs)
    taken.note(data, end=not data and next(iter((*args, *kwargs.values())), None) != 0)
    return data


def _readlines(taken: _Taken, readlines: Callable[..., list[bytes]], *args: Any, **kwargs: Any) -> list[bytes]:
    lines = readlines(*args, **kwargs)
    hint = next(iter((*args, *kwargs.values())), None)
    taken.note(b"".join(lines), end=not lines or _wants_all(hint) or hint == 0)
    return lines


def _readinto(taken: _Taken, readinto: Callable[[Any], int | None], buffer: Any) -> int | None:
    count = readinto(buffer)
    taken.filled(buffer, count)
    return count


def _seek(taken: _Taken, seek: Callable[..., int], *args: Any, **kwargs: Any) -> int:
    before = taken.position()
    result = seek(*args, **kwargs)
    taken.moved(before, taken.position())
    return result


def _reading(reader: Callable[..., Any], taken: _Taken, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return reader(taken, read, *args, **kwargs)
    except UnsupportedOperation:
        raise
    except OSError:  # a server's words for a client that has left in the middle of a chunk, or was not understood
        taken.break_off()
        raise


_READERS: dict[str, Callable[..., Any]] = {
    "read": _read,
    "readall": _read,
    "read1": _read_some,
    "readline": _read_some,
    "readlines": _readlines,
    "readinto": _readinto,
    "readinto1": _readinto,
    "seek": _seek,
}


class ObservedInput(wrapt.ObjectProxy):  # type: ignore[type-arg] # before wrapt 2 it takes no argument
    """``wsgi.input`` in every respect, the class included; only has what the wrapped stream has.

    Args:
        stream: the server's.
        request: gets the bytes, and ``complete`` when their end was seen.
    """

    def __init__(self, stream: Any, request: Request) -> None:
        super().__init__(stream)
        self._self_taken = _Taken(stream, request)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        reader = _READERS.get(name)
        return value if reader is None else partial(_reading, reader, self._self_taken, value)

    def __iter__(self) -> Iterator[bytes]:
        for line in self.__wrapped__:
            self._self_taken.note(line, end=False)
            yield line
        self._self_taken.note(b"", end=True)

    def __next__(self) -> bytes:
        try:
            line: bytes = next(self.__wrapped__)
        except StopIteration:
            self._self_taken.note(b"", end=True)
            raise
        self._self_taken.note(line, end=False)
        return line


def content_length(request: Request) -> int | None:
    """The request's Content-Length in bytes; None when it has none that counts (RFC 9112, section 6.3)."""
    text = (request.header("content-length") or "").strip()
    return spans.whole_number(text) if request.header("transfer-encoding") is None else None


def read_whole(stream: Any, request: Request, *, terminated: bool) -> io.BytesIO:
    """Read the body before the app does, and give it back as a stream.

    Args:
        stream: ``wsgi.input``.
        request: gets the bytes; stays incomplete when the client leaves before the end.
        terminated: whether the stream ends by itself where the body ends (``wsgi.input_terminated``).
    """
    length = content_length(request)
    left = length if length is not None else (-1 if terminated else 0)
    try:
        while left and (data := stream.read(min(left, _READ_AHEAD) if left > 0 else _READ_AHEAD)):
            request.body.append(data)
            left -= len(data) if left > 0 else 0
        request.complete = left <= 0
    except (OSError, ValueError):
        request.complete = False
    return io.BytesIO(b"".join(request.body))
