"""The seam of the standard library's http.client, where a message is whole bytes; urllib and urllib3 stand on it.

Recording looks at what ``send`` gets and what the response's file gives; replay puts a connection that is none below
the library, which then does all of its own work.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, Final

from timetracer_otel import seams
from timetracer_otel.families.http import recording as http_recording
from timetracer_otel.families.http.connection import Passing
from timetracer_otel.families.http.family import ask, responder
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.families.http.no_socket import NoSocket
from timetracer_otel.families.http.recording import Recording
from timetracer_otel.families.http.response_file import observe
from timetracer_otel.families.http.wire import Fields, Message
from timetracer_otel.seams import Patch, faults

__all__ = ["PATCHES", "asked_for", "connect", "failed_early"]

_ATTRIBUTE: Final = "_timetracer"
_HTTPS_PORT: Final = 443
_BYTES: Final = (bytes, bytearray, memoryview)
_INTERIM: Final = frozenset({100})  # it takes any other one for the response itself
_TAKES_NO_MORE: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EPROTOTYPE})
"""Errors of a peer that has closed; the last one is that of macOS."""
_VERSIONS: Final = {9: "0.9", 10: "1.0", 11: "1.1"}

asked_for: ContextVar[Callable[[], Sent] | None] = ContextVar("timetracer_asked_for", default=None)
"""Gives the request for which a client connects before it sends, if the client says."""

_awaited: ContextVar[Passing | None] = ContextVar("timetracer_awaited", default=None)
"""The exchange whose response is read next in this context."""

_plugins: dict[type, str] = {}


def plugin_of(conn: Any) -> str:
    """The integration that a connection belongs to: the first whose package one of its classes is from."""
    kind = type(conn)
    if kind not in _plugins:
        _plugins[kind] = seams.owner(kind) or "urllib"
    return _plugins[kind]


class Outgoing:
    """A request while a connection sends it.

    Args:
        conn: the connection.
    """

    __slots__ = ("_conn", "_message", "_unbegun", "broken", "recording", "sending")

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self._message = Message()
        self._unbegun: bytes | None = b""
        self.recording: Recording | None = None
        self.broken: OSError | None = None
        """What sending raised, while it is open whether the client reads a response all the same."""
        self.sending = False
        """Whether ``send`` is under way: what it sends meanwhile is the connection's own (a proxy's CONNECT)."""

    def passed(self, data: Any) -> None:
        """Take bytes that go out; the start line begins the recording."""
        sent = _bytes(data)
        if self._unbegun is not None:
            sent = self._unbegun + sent
            line, end, _ = sent.partition(b"\r\n")
            self._unbegun = None if end else sent
            if end:
                request = _request(self._conn, line.decode("latin-1"), Fields(b""))
                self.recording = http_recording.begin(plugin_of(self._conn), request)
        if self.recording is not None:
            self.recording.later(partial(self._look, self.recording, sent))

    def failed(self, error: BaseException, phase: str) -> None:
        """Take what sending raised. A peer that took no more may have answered before: urllib3 reads on then."""
        if self.recording is None:
            return
        if phase == "send" and isinstance(error, OSError) and error.errno in _TAKES_NO_MORE:
            self.broken = error
            self.recording.fail_sending(error)
        else:
            self.recording.fail(error, phase)

    def left(self) -> None:
        """Take that the client reads no response."""
        if self.recording is not None and self.broken is not None:
            self.recording.fail(self.broken, "send")

    def _look(self, recording: Recording, sent: bytes) -> None:
        message = self._message
        pieces = message.feed(sent)
        recording.request.headers = message.headers
        for piece, _ in pieces:
            recording.sent(piece)
        if message.complete:
            recording.sent_all()


def _bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else bytes(memoryview(data))


def _request(conn: Any, start: str, headers: Fields, body: bytes = b"") -> Sent:
    """Give the request of a start line on a connection."""
    method, _, rest = start.partition(" ")
    return Sent(method, url_of(conn, rest.rpartition(" ")[0]), headers, body)


def url_of(conn: Any, target: str) -> str:
    """Give the absolute URL of a target on a connection; through a plain proxy the target is one already."""
    if target[:1] != "/" and "://" in target:
        return target
    host = getattr(conn, "_tunnel_host", None) or conn.host
    port = getattr(conn, "_tunnel_port", None) if getattr(conn, "_tunnel_host", None) else conn.port
    scheme = "https" if conn.default_port == _HTTPS_PORT else "http"
    user, at, host = host.rpartition("@")  # urllib leaves a URL's credentials there
    authority = user + at + (f"[{host}]" if ":" in host and not host.startswith("[") else host)
    if port is not None and port != conn.default_port:
        authority += f":{port}"
    return f"{scheme}://{authority}{target}"


def _putrequest(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    if responder(plugin_of(instance)) is not None:
        _take_place(instance)
        return wrapped(*args, **kwargs)
    if isinstance(instance.sock, NoSocket):
        instance.sock = None  # of a replay that is over: it connects
    _leave(instance)
    setattr(instance, _ATTRIBUTE, None if seams.active() is None else Outgoing(instance))
    return wrapped(*args, **kwargs)


def _close(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    _leave(instance)
    return wrapped(*args, **kwargs)


def _leave(conn: Any) -> None:
    outgoing: Outgoing | None = getattr(conn, _ATTRIBUTE, None)
    if outgoing is not None:
        outgoing.left()


def _take_place(conn: Any) -> None:
    """Let a connection that reaches nowhere stand below http.client."""
    if not isinstance(conn.sock, NoSocket):
        if conn.sock is not None:
            conn.sock.close()
        plugin = plugin_of(conn)
        conn.sock = NoSocket(lambda message, body: _answer(conn, message, body), lambda: responder(plugin) is None)


def _answer(conn: Any, message: Message, body: bytes) -> Any:
    answering = responder(plugin_of(conn))
    if answering is None:
        raise ConnectionResetError("this connection is of a replay that is over: connect again")
    reply = ask(answering, _request(conn, message.start, message.headers, body))
    if reply.phase != "connect" and getattr(conn, "proxy", None) is not None:
        conn._has_connected_to_proxy = True  # noqa: SLF001 - urllib3 asks it to tell failures of the proxy from others
    return reply


def _send(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    outgoing: Outgoing | None = getattr(instance, _ATTRIBUTE, None)
    if isinstance(instance.sock, NoSocket):
        instance.sock.exchange.live = (instance,)
        return wrapped(*args, **kwargs)
    if outgoing is None or outgoing.sending or len(args) + len(kwargs) != 1:
        return wrapped(*args, **kwargs)
    data = next(iter(args or kwargs.values()))
    connects = instance.sock is None
    outgoing.sending = True
    try:
        return _sent(wrapped, outgoing, data)
    except BaseException as error:
        outgoing.failed(error, "connect" if connects and instance.sock is None else "send")
        raise
    finally:
        outgoing.sending = False


def _sent(send: Any, outgoing: Outgoing, data: Any) -> Any:
    """Send, and see what goes: files and iterables as they are read, bytes when the peer has them to work on."""
    if not isinstance(data, _BYTES):
        if hasattr(data, "read"):
            return send(_ObservedFile(outgoing, data))
        if isinstance(data, Iterable):
            return send(_observed_items(outgoing, data))
    try:
        return send(data)
    finally:
        _guarded(outgoing, data)


def _observed_items(outgoing: Outgoing, data: Iterable[Any]) -> Iterator[Any]:
    for item in data:
        _guarded(outgoing, item)
        yield item


def _guarded(outgoing: Outgoing, data: Any) -> None:
    try:
        if isinstance(data, _BYTES) or hasattr(data, "__buffer__"):
            outgoing.passed(data)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("http_client.send", error)


class _ObservedFile:
    """A file that http.client sends, seen as it is read. Text files stay text: the library encodes what they give."""

    def __init__(self, outgoing: Outgoing, file: Any) -> None:
        self._outgoing = outgoing
        self._file = file

    def read(self, size: int = -1) -> Any:
        block = self._file.read(size)
        _guarded(self._outgoing, block.encode("iso-8859-1", "replace") if isinstance(block, str) else block)
        return block

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _getresponse(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    outgoing: Outgoing | None = getattr(instance, _ATTRIBUTE, None)
    recording = None if outgoing is None or isinstance(instance.sock, NoSocket) else outgoing.recording
    if recording is None:
        return wrapped(*args, **kwargs)
    setattr(instance, _ATTRIBUTE, None)
    passing = Passing(recording, recording.request.method, _INTERIM)
    token = _awaited.set(passing)
    try:
        response = wrapped(*args, **kwargs)
    except BaseException as error:
        recording.fail(error, "head")
        raise
    finally:
        _awaited.reset(token)
    # Of the response itself nothing is held: the app may drop it unread, which ends it.
    head = (response.status, response.reason, _VERSIONS.get(response.version, "1.1"), response.headers.raw_items())
    recording.later(partial(passing.accepted, *head, time.monotonic_ns()))
    return response


def _begin_response(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Around the reading of a head: what is seen begins with it."""
    passing = _awaited.get()
    if passing is not None and instance.headers is None:
        _awaited.set(None)
        try:
            observe(instance, passing)
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            faults.report("http_client.response", error)
    return wrapped(*args, **kwargs)


def connect(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Go around ``connect``: nothing connects in replay; what is live may; a failure before any request is kept."""
    if responder(plugin_of(instance)) is not None:
        _take_place(instance)
        _settle(instance)
        return None
    if plugin_of(instance) in seams.switched_off:
        return wrapped(*args, **kwargs)
    token = seams.live_io.set(True)
    try:
        return wrapped(*args, **kwargs)
    except Exception as error:
        if getattr(instance, _ATTRIBUTE, None) is None and (asked := asked_for.get()) is not None:
            failed_early(plugin_of(instance), asked, error)
        raise
    finally:
        seams.live_io.reset(token)


def _settle(conn: Any) -> None:
    """Say of a connection what its client asks after connecting."""
    if hasattr(conn, "is_verified"):
        conn.is_verified = getattr(conn, "cert_reqs", None) in (None, 2, "CERT_REQUIRED")  # ssl.CERT_REQUIRED is 2
        conn._has_connected_to_proxy = False  # noqa: SLF001 - what its connect() sets; see _answer


def failed_early(plugin: str, asked: Callable[[], Sent], error: Exception) -> None:
    """Record a call that failed before its request was made.

    Args:
        plugin: the integration's name.
        asked: gives the request.
        error: what was raised.
    """
    try:
        request = asked()
    except Exception as fault:  # noqa: BLE001 - recording never breaks the app
        faults.report(f"{plugin}.connect", fault)
        return
    recording = http_recording.begin(plugin, request)
    if recording is not None:
        recording.fail_unsent(error)


PATCHES = (
    Patch("http.client", "HTTPConnection.putrequest", _putrequest),
    Patch("http.client", "HTTPConnection.send", _send),
    Patch("http.client", "HTTPConnection.getresponse", _getresponse),
    Patch("http.client", "HTTPConnection.close", _close),
    Patch("http.client", "HTTPResponse.begin", _begin_response),
    Patch("http.client", "HTTPConnection.connect", connect),
    Patch("http.client", "HTTPSConnection.connect", connect),
)
