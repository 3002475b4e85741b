"""The file over a socket that reaches nowhere."""

from __future__ import annotations

import io
from typing import Any, Protocol

__all__ = ["File"]


class _Underlying(Protocol):
    """The socket, as far as a file asks it."""

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int: ...

    def send(self, data: Any, flags: int = 0) -> int: ...

    def fileno(self) -> int: ...

    def opened(self) -> None: ...

    def let_go(self) -> None: ...


class File(io.RawIOBase):
    """Reads and writes without a buffer, a piece at a time. The socket stays open for it.

    Args:
        socket: below it.
        mode: of the file, with ``r``, ``w`` or both.
    """

    def __init__(self, socket: _Underlying, mode: str) -> None:
        super().__init__()
        self._socket: _Underlying | None = socket
        self._writes = "w" in mode
        self._reads = "r" in mode or not self._writes
        socket.opened()

    def readable(self) -> bool:
        """Whether it reads."""
        return self._reads

    def writable(self) -> bool:
        """Whether it writes."""
        return self._writes

    def readinto(self, buffer: Any, /) -> int | None:
        """Receive into a buffer; None when that would have to wait and may not."""
        try:
            return self._open().recv_into(buffer)
        except BlockingIOError:
            return None

    def write(self, data: Any, /) -> int:
        """Send; how much it was."""
        return self._open().send(data)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._open().fileno()

    def _open(self) -> _Underlying:
        if self._socket is None:
            raise ValueError("I/O operation on closed file.")
        return self._socket

    def close(self) -> None:
        """Close it, and the socket if that waits for it."""
        super().close()
        below, self._socket = self._socket, None
        if below is not None:
            below.let_go()
