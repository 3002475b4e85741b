"""A real socket between libpq and a dialogue: libpq insists on one. It is moved on by the thread that asks."""

from __future__ import annotations

import itertools
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

from timetracer_otel.families.nowhere import End, Fail, Peer, Reply, Wait
from timetracer_otel.families.postgres.server import Server

__all__ = ["DROPPED", "LibpqLink"]

DROPPED: Final = frozenset({
    "connect_timeout", "load_balance_hosts", "require_auth", "service", "sslcert", "sslcertmode", "sslcrl", "sslcrldir",
    "sslkey", "sslnegotiation", "sslrootcert",
})  # fmt: skip
"""Parameters of libpq that are left out where a connection reaches nowhere: files that they name may not be here."""

_numbers = itertools.count(1)
_now = time.monotonic  # the real one: a replay gives the app another
_CHUNK: Final = 1 << 18


class LibpqLink:
    """Listens where libpq connects to, and answers what comes.

    Args:
        dialogue: says what the server answers.
        port: that libpq believes in; it stands in the name of the socket.
    """

    def __init__(self, dialogue: Server, port: str) -> None:
        self.dialogue = dialogue
        self.failure: Fail | None = None
        """How the recorded connection broke, where libpq's own words do not say it."""
        self._peer = Peer(dialogue, self._told)
        self._sending = threading.RLock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        file = f".s.PGSQL.{port}"
        if sys.platform == "linux":  # a name that is no file
            self.host = f"@timetracer-{os.getpid()}-{next(_numbers)}"
            self._listener.bind(f"\0{self.host[1:]}/{file}")
        else:
            self._folder = tempfile.TemporaryDirectory(prefix="timetracer-")
            self.host = self._folder.name
            self._listener.bind(str(Path(self.host) / file))
        self._listener.listen(1)
        self._listener.settimeout(0)
        self._socket: socket.socket | None = None
        self._to_send = memoryview(b"")
        self._due: float | None = None
        self._ends = False

    def pump(self) -> None:
        """Take what libpq has sent, and send what it may have now. It never waits.

        Raises:
            ReplayMiss: nothing recorded answers it.
        """
        if self._ends or (self._socket is None and not self._accept()):
            return
        self._receive()
        self._answer()

    def _told(self) -> None:
        """Send at once what nobody asked for: who waits for it looks at the socket alone."""
        if self._socket is not None:
            self._due = None
            self._answer()

    def _answer(self) -> None:
        with self._sending:
            while self._send() and not self._ends and (self._due is None or _now() >= self._due):
                self._due = None
                reply = self._peer.next()
                if reply is None:
                    return
                self._take(reply)

    def _take(self, reply: Reply[bytes]) -> None:
        if isinstance(reply, Wait):
            self._due = None if reply.seconds is None else _now() + reply.seconds
        elif isinstance(reply, End | Fail):  # libpq has its own words for a connection that is lost
            self.failure = reply if isinstance(reply, Fail) else None
            self._ends = True
            self.close()
        else:
            self._to_send = memoryview(reply)

    @property
    def due(self) -> float | None:
        """Seconds until something is to be sent; None where nothing is."""
        return None if self._due is None else max(0.0, self._due - _now())

    def _accept(self) -> bool:
        try:
            self._socket, _ = self._listener.accept()
        except BlockingIOError:
            return False
        self._listener.close()
        self._socket.settimeout(0)
        return True

    def _receive(self) -> None:
        """Take all that has arrived, as one: what is sent together is answered together."""
        pieces: list[bytes] = []
        while self._socket is not None:
            try:
                data = self._socket.recv(_CHUNK)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                break
            pieces.append(data)
            if len(data) < _CHUNK:
                break
        if pieces:
            self._peer.feed(b"".join(pieces))

    def _send(self) -> bool:
        """Send what waits; whether all of it is gone."""
        while self._to_send and self._socket is not None:
            try:
                sent = self._socket.send(self._to_send)
            except BlockingIOError:
                return False
            except OSError:
                self._ends = True
                return True
            self._to_send = self._to_send[sent:]
        return True

    def close(self) -> None:
        """Let the connection be lost."""
        self._listener.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._folder is not None:
            self._folder.cleanup()

    def __del__(self) -> None:
        self.close()
