"""The file below an http.client response, seen while it is read."""

from __future__ import annotations

import io
import time
import weakref
from functools import partial
from typing import Any

from timetracer_otel.families.http.connection import Passing
from timetracer_otel.seams import faults

__all__ = ["observe"]


def observe(response: Any, passing: Passing) -> None:
    """Let an exchange see what a response's socket gives, below the buffer: bytes as they come from the peer.

    Two methods of the raw file are shadowed; it stays what it is, and so does the response's file.

    Args:
        response: of http.client, of which nothing was read.
        passing: the exchange.
    """
    raw: Any = getattr(response.fp, "raw", None)
    if not hasattr(raw, "__dict__"):  # the file of something that only plays a socket
        raw = _Whole(response.fp)
        response.fp = io.BufferedReader(raw)
    kept, kind = weakref.ref(raw), type(raw)
    raw.readinto = partial(_readinto, kept, kind.readinto, passing)
    raw.close = partial(_close, kept, kind.close, passing)


def _readinto(kept: weakref.ref[Any], read: Any, passing: Passing, buffer: Any) -> int | None:
    try:
        count: int | None = read(kept(), buffer)
    except BaseException as error:
        _seen(passing, "lost", error)
        raise
    if count:
        try:
            data = bytes(memoryview(buffer)[:count])
            passing.recording.later(partial(passing.arrived, data, time.monotonic_ns()))
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("http_client.arrived", error)
    elif count == 0 and len(buffer):
        _seen(passing, "ended_by_peer")
        _seen(passing, "lost", None)
    return count


def _close(kept: weakref.ref[Any], close: Any, passing: Passing) -> None:
    _seen(passing, "let_go")
    raw = kept()
    if raw is not None:
        close(raw)


def _seen(passing: Passing, step: str, *args: Any) -> None:
    try:
        passing.recording.catch_up()
        getattr(passing, step)(*args)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"http_client.{step}", error)


class _Whole(io.RawIOBase):
    """A file that is no buffer over a raw one, read as if it were raw.

    Args:
        file: the library's.
    """

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Give no more than one read of the file does."""
        read = getattr(self._file, "read1", self._file.read)
        data: bytes = read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
