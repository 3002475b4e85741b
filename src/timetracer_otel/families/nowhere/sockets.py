"""A socket that reaches nowhere: what a client sends goes to a dialogue, what that says is received."""

from __future__ import annotations

import errno
import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from timetracer_otel.families.nowhere.descriptor import Descriptor
from timetracer_otel.families.nowhere.dialogue import Dialogue, End, Fail, Reply, Wait
from timetracer_otel.families.nowhere.files import File
from timetracer_otel.families.nowhere.peer import Peer

__all__ = ["Socket"]

_GLANCE: Final = 0.02
"""Seconds after which a waiting thread looks around, where its wait says so, or where nothing is to come."""
_NOTHING: Final = memoryview(b"")
_FOREVER: Final = float("inf")
_PEEK: Final = int(socket.MSG_PEEK)  # numbers: the members of an enumeration are slow
_WAIT_FOR_ALL: Final = int(socket.MSG_WAITALL)
_NEVER_WAIT: Final = int(getattr(socket, "MSG_DONTWAIT", 0))
_now = time.monotonic  # the real one: a replay gives the app another


class Socket:
    """Stands where a client has its socket: blocking, with a timeout or without waiting, and polled by its descriptor.

    Where the client waits and the dialogue says nothing to that, a timeout is over in a moment.

    Args:
        dialogue: says what the peer answers.
        address: of the peer, as the client believes.
        family: of the address.
    """

    type = socket.SOCK_STREAM
    proto = 0

    def __init__(self, dialogue: Dialogue[bytes], address: Any = None, family: int = socket.AF_INET) -> None:
        self.dialogue = dialogue
        self.family = family
        self._address = address
        self._timeout: float | None = None
        self._left = _NOTHING
        self._failure: Fail | None = None
        self._ended = False
        self._due: float | None = None
        self._look: Callable[[], object] | None = None
        self._files = 0
        self._closing = self._closed = False
        self._descriptor: Descriptor | None = None
        self._lock = threading.RLock()  # around the dialogue
        self._changed = threading.Condition()  # never held while the dialogue is asked
        self._changes = 0
        self._peer = Peer(dialogue, self._wake)

    # Sending.

    def sendall(self, data: Any, _flags: int = 0) -> None:
        """Take what the client sends; what it is answered shows at once where it is refused."""
        sent = bytes(memoryview(data))  # raises TypeError for what a socket does not take either
        with self._lock:
            self._must_be_open()
            self._ended = False
            self._peer.feed(sent)
        self._wake()

    def send(self, data: Any, flags: int = 0) -> int:
        """As :meth:`sendall`; all of it is taken."""
        self.sendall(data, flags)
        return memoryview(data).nbytes

    def sendmsg(self, buffers: Iterable[Any], _ancillary: Any = (), flags: int = 0, _address: Any = None) -> int:
        """As :meth:`sendall`, of several pieces together."""
        data = b"".join(bytes(memoryview(piece)) for piece in buffers)
        self.sendall(data, flags)
        return len(data)

    write = send

    # Receiving.

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Give at most one piece of what the peer says; nothing at its end."""
        if size < 0:
            raise ValueError("negative buffersize in recv")
        return bytes(self._take(size, flags)) if size else b""

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """As :meth:`recv`, into a buffer; how much it was."""
        view = memoryview(buffer).cast("B")
        size = size or view.nbytes
        taken = self._take(size, flags) if size else _NOTHING
        view[: len(taken)] = taken
        return len(taken)

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, Any]:
        """As :meth:`recv`, with the address."""
        return self.recv(size, flags), self._address

    def read(self, size: int = 1024, buffer: Any = None) -> Any:
        """As a socket with TLS reads."""
        return self.recv(size) if buffer is None else self.recv_into(buffer, size)

    def pending(self) -> int:
        """Bytes that can be received without waiting, of the piece that comes next."""
        with self._lock:
            self._pull(ask=False)
            return len(self._left)

    def _take(self, size: int, flags: int) -> memoryview:
        flags = int(flags)
        arrived = self._arrived(0.0 if flags & _NEVER_WAIT else self._timeout)
        taken = arrived[:size]
        if not flags & _PEEK:
            self._left = arrived[size:]
            self._settle()
        if flags & _WAIT_FOR_ALL and taken and len(taken) < size and not flags & _PEEK:
            return memoryview(bytes(taken) + bytes(self._take(size - len(taken), flags)))
        return taken

    def _arrived(self, timeout: float | None) -> memoryview:
        """Give what has arrived, nothing at the end; wait for it as long as the timeout allows."""
        until = _FOREVER if timeout is None else _now() + timeout
        glanced = False
        while True:
            with self._lock:
                seen = self._changes
                self._must_be_open()
                waits = self._pull(ask=timeout != 0)
                if self._failure is not None:
                    failure, self._failure = self._failure, None
                    raise failure.make()
                if self._left or self._ended:
                    return self._left
            if timeout == 0:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            if timeout is not None and (not waits or _now() >= until):
                if self._due == _FOREVER:
                    self._due = None  # the dialogue is asked anew by who waits next
                if glanced or _now() >= until:
                    raise TimeoutError("timed out")
                glanced = True  # briefly: who asks again and again is not to keep a processor busy
                until = min(until, _now() + _GLANCE)
            self._wait(seen, until)

    def _pull(self, *, ask: bool) -> bool:
        """Let what comes next arrive, if it is its time.

        Args:
            ask: whether the client waits for it.

        Returns:
            Whether something is to come.
        """
        while not (self._left or self._ended or self._failure is not None):
            if self._due is not None and _now() < self._due < _FOREVER:
                return True
            waited, self._due = self._due, None
            reply: Reply[bytes] | None = self._peer.next()
            if reply is None and waited == _FOREVER:
                self._due = waited
                return True
            if reply is None and ask:
                reply = self._peer.awaited()
            if reply is None:
                return False
            self._arrive(reply)
        return True

    def _arrive(self, reply: Reply[bytes]) -> None:
        match reply:
            case Wait():
                self._due = _FOREVER if reply.seconds is None else _now() + reply.seconds
                self._look = reply.look
            case End():
                self._ended = True
            case Fail():
                self._failure = reply
            case _:
                self._left = memoryview(reply)

    def _wait(self, seen: int, until: float) -> None:
        """Wait until something has changed, or what is to come is due."""
        due = min(until, _FOREVER if self._due is None else self._due)
        look = None if self._due is None else self._look
        left = due - _now()
        if look is not None:
            look()
            left = min(left, _GLANCE)
        with self._changed:
            self._changed.wait_for(lambda: self._changes != seen, None if left == _FOREVER else max(left, 0.0))

    def _wake(self) -> None:
        """Let who waits look again; it may be another thread than the one that says something."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()
        if self._descriptor is None:
            return
        if self._lock.acquire(timeout=_GLANCE):  # else somebody is in there, who may wait for this thread
            try:
                self._settle()
            finally:
                self._lock.release()
        else:
            self._descriptor.set(readable=True)  # looked at closer in a moment, by who is told so

    def forget(self) -> None:
        """Drop what was not received: nobody will read it."""
        with self._lock:
            self._peer.forget()
            self._left, self._failure, self._due = _NOTHING, None, None

    # Being polled.

    def fileno(self) -> int:
        """A descriptor that is readable while something waits to be received; made when it is first asked for."""
        if self._closed:
            return -1
        if self._descriptor is None:
            self._descriptor = Descriptor()
        self._settle()
        return self._descriptor.fileno()

    def _settle(self) -> None:
        """Let the descriptor say whether something waits, now and when it is due."""
        descriptor = self._descriptor
        if descriptor is None:
            return
        with self._lock:
            if self._closed:
                return
            self._pull(ask=False)
            waits = bool(self._left) or self._ended or self._failure is not None
            with self._changed:
                descriptor.set(readable=waits)
            if not waits and self._due is not None and self._due < _FOREVER:
                later = threading.Timer(max(self._due - _now(), 0.0), self._settle)
                later.daemon = True
                later.start()

    # Its end.

    def end(self) -> None:
        """Let the peer have closed its side."""
        self._ended = True
        self._wake()

    def shutdown(self, how: int) -> None:
        """Send nothing more; or receive nothing more, which is over for who waits as well."""
        with self._lock:
            self._must_be_open()
            if how != socket.SHUT_WR:
                self._ended = True
            if how != socket.SHUT_RD:
                self._peer.shut()
        self._wake()
        self._settle()

    def close(self) -> None:
        """Close it, as soon as its files are closed too."""
        self._closing = True
        if not self._files and not self._closed:
            self._closed = True
            self._wake()
            self.dialogue.close()
            if self._descriptor is not None:
                self._descriptor.close()

    def detach(self) -> int:
        """Close it, and leave the descriptor to who asks for it."""
        number = os.dup(self.fileno())
        self.close()
        return number

    def makefile(self, mode: str = "r", buffering: int | None = None, **options: Any) -> Any:
        """Give a file over it, as a socket does."""
        raw = File(self, mode)
        if buffering == 0:
            return raw
        size = buffering if buffering is not None and buffering > 0 else io.DEFAULT_BUFFER_SIZE
        if raw.readable() and raw.writable():
            buffer: Any = io.BufferedRWPair(raw, raw, size)
        else:
            buffer = io.BufferedReader(raw, size) if raw.readable() else io.BufferedWriter(raw, size)
        return buffer if "b" in mode else io.TextIOWrapper(buffer, **options)

    def opened(self) -> None:
        """Stay open for a file."""
        self._files += 1

    def let_go(self) -> None:
        """Take that a file was closed."""
        self._files -= 1
        if self._closing:
            self.close()

    def _must_be_open(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What nothing depends on.

    def connect(self, address: Any) -> None:
        """Believe to be connected."""
        self._address = address

    def connect_ex(self, address: Any) -> int:
        """As :meth:`connect`."""
        self._address = address
        return 0

    def settimeout(self, timeout: float | None) -> None:
        """Wait so many seconds, for ever, or not at all."""
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        """The timeout."""
        return self._timeout

    timeout = property(gettimeout)

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the signature of a socket
        """Wait for ever, or not at all."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """Whether it waits."""
        return self._timeout != 0

    def setsockopt(self, *_option: object) -> None:
        """Take an option: there is nothing to set."""

    def getsockopt(self, _level: int, _option: int, size: int = 0) -> Any:
        """No option is set, and no error happened."""
        return bytes(size) if size else 0

    def getpeername(self) -> Any:
        """The address that the client believes in."""
        return self._address if self._address is not None else ("0.0.0.0", 0)  # noqa: S104 - nothing listens

    def getsockname(self) -> Any:
        """No address of its own."""
        return "" if self.family not in (socket.AF_INET, socket.AF_INET6) else ("0.0.0.0", 0)  # noqa: S104 - as above

    def do_handshake(self) -> None:
        """Nothing is agreed on."""

    def unwrap(self) -> Any:
        """The same without TLS."""
        return self

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: FBT001, FBT002 - the signature of ssl.SSLSocket
        """No certificate was recorded."""
        return b"" if binary_form else {}

    def version(self) -> None:
        """No TLS version was recorded."""

    def cipher(self) -> None:
        """No TLS cipher was recorded."""

    def selected_alpn_protocol(self) -> None:
        """No protocol was agreed on."""
