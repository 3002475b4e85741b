"""A real socket between a client library in C and a dialogue: the library insists on one."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from timetracer_otel.families.mysql.server import Server
from timetracer_otel.families.nowhere import End, Fail, Peer, Reply, Wait

__all__ = ["ClientLink"]

_numbers = itertools.count(1)
_sleep: Final = time.sleep  # the real one: a replay gives the app another
_CHUNK: Final = 1 << 18
_PATIENCE: Final = 60.0


class ClientLink:
    """Listens where the library connects to. What it sends is taken from what it tells; the socket is only emptied.

    A thread makes the connection and empties it, as the library sends before it tells. All else happens in the thread
    that asks: there a call is matched, and as much of its answer put into the socket as fits, whenever some was read.

    Args:
        server: says what is answered.
    """

    def __init__(self, server: Server) -> None:
        self.server = server
        self.failure: BaseException | None = None
        """What is to be raised in the place of the library's own error: it only sees that the connection is lost."""
        self._peer = Peer(server)
        self._listener = socket.socket(socket.AF_UNIX)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if sys.platform == "linux":  # a name that is no file
            self.address = f"@timetracer-{os.getpid()}-{next(_numbers)}.mysql"
            self._listener.bind("\0" + self.address[1:])
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="timetracer-")
            self.address = str(Path(self._folder.name) / "mysql")
            self._listener.bind(self.address)
        self._listener.listen(1)
        self._listener.settimeout(_PATIENCE)
        self._socket: socket.socket | None = None
        self._to_send = memoryview(b"")
        self._ends = False
        self._answering = threading.RLock()
        threading.Thread(target=self._empty, name="timetracer-mysql", daemon=True).start()

    def _empty(self) -> None:
        with suppress(OSError):
            self._socket, _ = self._listener.accept()
            self._listener.close()
            self._answer()
            while self._socket.recv(_CHUNK):
                pass

    # What the library tells.

    def sent(self, data: bytes) -> None:
        """Take what was sent, and answer it."""
        try:
            with self._answering:  # the thread that greets must take nothing of it
                self._peer.feed(data)
                self._answer()
        except Exception as error:  # noqa: BLE001 - it is raised by who has called the library
            self._fails(error)

    def received(self, data: bytes) -> None:
        """Give more of the answer."""
        try:
            with self._answering:
                if not data:
                    self._peer.awaited()
                self._answer()
        except Exception as error:  # noqa: BLE001 - as above
            self._fails(error)

    def _fails(self, error: BaseException) -> None:
        self.failure = error
        self._end()

    def _answer(self) -> None:
        with self._answering:
            while self._send() and not self._ends:
                reply = self._peer.next()
                if reply is None:
                    if self.server.is_partial:
                        self._end()
                    return
                self._take(reply)

    def _take(self, reply: Reply[bytes]) -> None:
        if isinstance(reply, Wait):
            _sleep(reply.seconds or 0.0)
        elif isinstance(reply, End | Fail):  # the library has its own words for a connection that is lost
            self._end()
        else:
            self._to_send = memoryview(reply)

    def _send(self) -> bool:
        """Send what waits; whether all of it is gone."""
        while self._to_send and self._socket is not None:
            try:
                sent = self._socket.send(self._to_send, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                self._ends = True
                return True
            self._to_send = self._to_send[sent:]
        return True

    def _end(self) -> None:
        """Let the library see the end of the connection."""
        self._ends = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Be no more."""
        self._ends = True
        self._listener.close()
        if self._socket is not None:
            self._end()
            self._socket.close()
        if self._folder is not None:
            self._folder.cleanup()
