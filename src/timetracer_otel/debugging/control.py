"""What the launcher and a debugged process tell one another: lines of JSON through a Unix socket."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from typing import Any, Final, Self

import orjson

from timetracer_otel.seams import live_io

__all__ = ["Control", "Lines"]

_CHUNK: Final = 65536


class Lines:
    """Puts what comes in pieces together to lines of JSON."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Sequence[dict[str, Any]]:
        """Give the messages that a piece completes.

        Args:
            data: the piece.
        """
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [orjson.loads(line) for line in whole]


class Control:
    """The end of a debugged process.

    Args:
        path: of the launcher's socket.

    Raises:
        OSError: the launcher is not there.
    """

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lines = Lines()
        self._waiting: list[dict[str, Any]] = []
        token = live_io.set(True)
        try:
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise
        finally:
            live_io.reset(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, to wait for what comes."""
        return self._socket.fileno()

    def tell(self, **facts: Any) -> None:
        """Tell the launcher something; a launcher that has gone is told nothing.

        Args:
            facts: JSON-like.
        """
        try:
            self._socket.sendall(orjson.dumps(facts, option=orjson.OPT_APPEND_NEWLINE))
        except OSError:
            return

    def next(self) -> dict[str, Any] | None:
        """Wait for the next order; None when the launcher has gone."""
        while not self._waiting:
            select.select([self._socket], [], [])
            try:
                data = self._socket.recv(_CHUNK)
            except OSError:
                return None
            if not data:
                return None
            self._waiting.extend(self._lines.feed(data))
        return self._waiting.pop(0)
