"""A real file descriptor for a connection that has none: for clients, loops and libraries of C that poll."""

from __future__ import annotations

import os
import socket
import threading

__all__ = ["Descriptor"]


class Descriptor:
    """Can always be written to, and is readable while something waits: one end of a pair of sockets.

    It keeps its number in a forked child, where it is readable by itself.
    """

    __slots__ = ("_lock", "_other", "_own", "_pid", "_readable")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readable = False
        self._pid = os.getpid()
        self._own, self._other = _pair()

    def fileno(self) -> int:
        """Its number."""
        self._keep_apart()
        return self._own.fileno()

    def set(self, *, readable: bool) -> None:
        """Be readable, or not.

        Args:
            readable: whether something waits.
        """
        self._keep_apart()
        with self._lock:
            if readable and not self._readable:
                self._other.send(b"!")
            elif self._readable and not readable:
                self._own.recv(1)
            self._readable = readable

    def _keep_apart(self) -> None:
        """Part a forked child from its parent: what either of them marks or takes the other would see."""
        if self._pid == os.getpid():
            return
        self._pid, self._lock = os.getpid(), threading.Lock()
        own, other = _pair()
        os.dup2(own.fileno(), self._own.fileno(), inheritable=False)
        own.close()
        self._other.close()
        self._other = other
        if self._readable:
            other.send(b"!")

    def close(self) -> None:
        """Give the descriptors back."""
        self._own.close()
        self._other.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    own, other = socket.socketpair()
    own.setblocking(False)  # noqa: FBT003 - the signature of a socket
    other.setblocking(False)  # noqa: FBT003 - likewise
    return own, other
