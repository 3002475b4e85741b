"""The file below an http.client response: seen while it is read, or made of a recorded response."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from typing import Any

from timetracer_otel.families.http import raise_error, too_far, wait_for_leaving
from timetracer_otel.families.http_exchange import Reply
from timetracer_otel.families.http_recording import Recording
from timetracer_otel.families.http_wire import Chunked, has_no_body
from timetracer_otel.seams import faults

__all__ = ["RecordedFile", "Tee"]


class Tee:
    """A response's file. It gives what the file gives, no more at a time than is asked for.

    Args:
        file: the library's.
        recording: takes what passes.
        response: the http.client response that reads it.
    """

    def __init__(self, file: Any, recording: Recording, response: Any) -> None:
        self._file = file
        self._recording = recording
        self._chunked = Chunked() if response.chunked else None
        none = has_no_body(response._method or "", response.status)  # noqa: SLF001 - http.client keeps it there
        self._left: int | None = 0 if none else response.length
        if self._chunked is not None:
            self._left = None
        self._ended = self._left == 0
        if self._ended:
            recording.done()

    def _passed(self, data: bytes, *, wanted: bool) -> bytes:
        try:
            self._take(data, wanted=wanted)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            self._recording.abandoned()
            faults.report("http_client.body", error)
        return data

    def _take(self, data: bytes, *, wanted: bool) -> None:
        if self._ended:
            return
        if self._chunked is not None:
            for piece, continues in self._chunked.feed(data):
                self._recording.received(piece, continues=continues)
            self._ended = self._chunked.complete
        else:
            if data:
                self._recording.later(partial(self._recording.received, data))
            if self._left is not None:
                self._left -= len(data)
            # Without a length only the end of the connection is the end.
            self._ended = self._left == 0 or (self._left is None and wanted and not data)
        if wanted and not data and not self._ended:
            self._ended = True
            self._recording.cut(self._chunked.missing if self._chunked is not None else "end")
        elif self._ended:
            self._recording.done(self._chunked.trailers if self._chunked is not None else None)

    def _failing(self, read: Any, *args: Any) -> Any:
        try:
            return read(*args)
        except BaseException as error:
            self._recording.fail(error, "body")
            raise

    def read(self, size: int | None = -1, /) -> bytes:
        """As the file's own."""
        data: bytes = self._failing(self._file.read, -1 if size is None else size)
        self._passed(data, wanted=size != 0)
        if data and (size is None or size < 0 or len(data) < size):  # the library need not look again for the end
            self._passed(b"", wanted=True)
        return data

    def read1(self, size: int = -1, /) -> bytes:
        """As the file's own."""
        return self._passed(self._failing(self._file.read1, size), wanted=size != 0)

    def readline(self, limit: int = -1, /) -> bytes:
        """As the file's own."""
        return self._passed(self._failing(self._file.readline, limit), wanted=limit != 0)

    def readinto(self, buffer: Any, /) -> int:
        """As the file's own."""
        count: int = self._failing(self._file.readinto, buffer)
        self._passed(bytes(memoryview(buffer)[:count]), wanted=len(buffer) != 0)
        return count

    def peek(self, size: int = 0, /) -> bytes:
        """As the file's own; what is looked at has not passed."""
        data: bytes = self._failing(self._file.peek, size)
        return data

    def close(self) -> None:
        """Close the file: what was not read is not kept."""
        self._recording.abandoned()
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_recording"):
            self._recording.abandoned()

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class RecordedFile(io.RawIOBase):
    """A recorded response as a socket's file gives it.

    Args:
        pieces: of the wire.
        reply: that they are of.
        live: the client's objects that a recorded exception may hold.
    """

    def __init__(self, pieces: Iterator[bytes], reply: Reply, live: tuple[object, ...] = ()) -> None:
        super().__init__()
        self._pieces = pieces
        self._reply = reply
        self._live = live
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Give what comes next; at the end what the recording says of it."""
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        if not self._left:
            self._at_end()
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)

    def _at_end(self) -> None:
        reply = self._reply
        raise_error(reply, self._live)
        if not reply.complete and not reply.cut:
            wait_for_leaving(reply)
            raise too_far(reply)
