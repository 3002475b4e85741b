"""A real HTTP server on loopback with the shapes that clients meet, odd ones too; it can be stopped for good."""

from __future__ import annotations

import gzip
import hashlib
import json
import socketserver
import ssl
import threading
import time
import zlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any, Self
from urllib.parse import urlsplit

import brotli  # type: ignore[import-untyped]  # ships no types
import zstandard

from tests.http.syntax import SYNTAX

TEXT = ("Ein Straßenkäfer. " * 40).encode()
BINARY = bytes(range(256)) * 8
BIG = bytes(range(251)) * 12_500  # about 3 MB: three chunks over the limit of one span

Route = Callable[["Handler"], None]
ROUTES: dict[str, Route] = {}


def route(path: str) -> Callable[[Route], Route]:
    """Register what answers a path."""

    def register(function: Route) -> Route:
        ROUTES[path] = function
        return function

    return register


class Handler(BaseHTTPRequestHandler):
    """One connection: each request goes to its route."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "shapes", ""
    server: _Threads
    body: bytes

    def _dispatch(self) -> None:
        self.body = self._read_body()
        self.server.seen.append((self.command, self.path, dict(self.headers), self.body))
        path = urlsplit(self.path).path  # as a proxy it is asked for whole URLs
        ROUTES.get(path, _missing)(self)

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._dispatch
        raise AttributeError(name)

    def reply(self, body: bytes = b"", *headers: tuple[str, str], status: int = 200, length: bool = True) -> None:
        """Send a whole response."""
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def raw(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Send bytes as they are, and close."""
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(pause)
            self.wfile.write(piece)
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_args: Any) -> None:
        """Stay silent."""


def _missing(handler: Handler) -> None:
    handler.reply(b"no such page", ("Content-Type", "text/plain"), status=404)


@route("/json")
def _json(handler: Handler) -> None:
    handler.reply(json.dumps({"path": handler.path, "n": 1, "ok": True}).encode(), ("Content-Type", "application/json"))


@route("/echo")
def _echo(handler: Handler) -> None:
    described = {
        "method": handler.command,
        "path": handler.path,
        "body": handler.body.decode("latin-1"),
        "type": handler.headers.get("Content-Type", "").partition(";")[0],
    }
    handler.reply(json.dumps(described).encode(), ("Content-Type", "application/json"))


@route("/count")
def _count(handler: Handler) -> None:
    handler.server.count += 1
    handler.reply(str(handler.server.count).encode(), ("Content-Type", "text/plain"))


@route("/digest-of-body")
def _digest_of_body(handler: Handler) -> None:
    handler.reply(hashlib.sha256(handler.body).hexdigest().encode())


@route("/headers")
def _headers(handler: Handler) -> None:
    handler.reply(
        b"{}",
        ("ETag", 'W/"abc"'),
        ("Link", '</next>; rel="next"'),
        ("Set-Cookie", "a=1; Path=/"),
        ("X-CasE", "Mixed"),
        ("Set-Cookie", "b=2; Path=/; HttpOnly"),
        ("Link", '</last>; rel="last"'),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
    )


@route("/binary")
def _binary(handler: Handler) -> None:
    handler.reply(BINARY, ("Content-Type", "application/octet-stream"))


@route("/big")
def _big(handler: Handler) -> None:
    handler.reply(BIG, ("Content-Type", "application/octet-stream"))


@route("/latin1")
def _latin1(handler: Handler) -> None:
    handler.reply("café".encode("latin-1"), ("Content-Type", "text/plain; charset=iso-8859-1"))


def _packed(coding: str, pack: Callable[[bytes], bytes]) -> None:
    @route(f"/{coding}")
    def _reply(handler: Handler) -> None:
        handler.reply(pack(TEXT), ("Content-Encoding", coding), ("Content-Type", "text/plain; charset=utf-8"))


@route("/echo-packed")
def _echo_packed(handler: Handler) -> None:
    body, coding = handler.body, handler.headers["X-Pack"]
    for name in coding.split(", "):
        body = PACKERS[name](body)
    handler.reply(body, ("Content-Encoding", coding), ("Content-Type", "application/json"))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}
_packed("gzip", lambda body: gzip.compress(body, mtime=0))
_packed("deflate", zlib.compress)
_packed("br", brotli.compress)
_packed("zstd", zstandard.ZstdCompressor().compress)


@route("/204")
def _no_content(handler: Handler) -> None:
    handler.reply(status=204, length=False)


@route("/304")
def _not_modified(handler: Handler) -> None:
    handler.reply(b"", ("ETag", '"v1"'), status=304, length=False)


@route("/500")
def _failed(handler: Handler) -> None:
    handler.reply(b"it broke", status=500)


@route("/who")
def _who(handler: Handler) -> None:
    who = [handler.headers[name] for name in ("Authorization", "Cookie", "X-Api-Key") if name in handler.headers]
    handler.reply("".join(who).encode())


@route("/cookies")
def _cookies(handler: Handler) -> None:
    handler.reply(handler.headers.get("Cookie", "").encode(), ("Set-Cookie", "session=s3; Path=/"))


@route("/redirect")
def _redirect(handler: Handler) -> None:
    handler.reply(b"over there", ("Location", "/redirect-2"), ("Set-Cookie", "hop=1; Path=/"), status=302)


@route("/redirect-2")
def _redirect_2(handler: Handler) -> None:
    handler.reply(b"", ("Location", "/cookies?from=2"), status=307)


@route("/chunked")
def _chunked(handler: Handler) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
    handler.raw(head, b"5\r\nhello\r\n", b"7;ext=1\r\n, world\r\n", b"1\r\n!\r\n0\r\nX-Sum: 13\r\n\r\n", pause=0.01)


@route("/events")
def _events(handler: Handler) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    events = [b"event: tick\ndata: %d\n\n" % number for number in range(4)]
    handler.raw(head, *(b"%x\r\n%b\r\n" % (len(event), event) for event in events), b"0\r\n\r\n", pause=0.01)


@route("/until-close")
def _until_close(handler: Handler) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    handler.raw(head, b"until ", b"the end", pause=0.01)


@route("/old")
def _old(handler: Handler) -> None:
    handler.raw(b"HTTP/1.0 200 Fine Indeed\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nold")


@route("/no-reason")
def _no_reason(handler: Handler) -> None:
    handler.raw(b"HTTP/1.1 299 \r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


@route("/cut")
def _cut(handler: Handler) -> None:
    handler.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this")


@route("/cut-chunked")
def _cut_chunked(handler: Handler) -> None:
    handler.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n64\r\npart")


@route("/garbage")
def _garbage(handler: Handler) -> None:
    handler.raw(b"this is no HTTP\r\n\r\n")


@route("/hang-up")
def _hang_up(handler: Handler) -> None:
    handler.close_connection = True


@route("/slow-head")
def _slow_head(handler: Handler) -> None:
    handler.server.stopping.wait(5)
    handler.close_connection = True


@route("/slow-body")
def _slow_body(handler: Handler) -> None:
    handler.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.")
    handler.server.stopping.wait(5)


@route("/basic")
def _basic(handler: Handler) -> None:
    if not handler.headers.get("Authorization", "").startswith("Basic "):
        handler.reply(b"who?", ("WWW-Authenticate", 'Basic realm="r"'), status=401)
    else:
        handler.reply(b"welcome")


@route("/digest")
def _digest(handler: Handler) -> None:
    if "response=" in handler.headers.get("Authorization", ""):
        handler.reply(b"welcome")
    else:
        challenge = 'Digest realm="r", nonce="n1", qop="auth", algorithm=MD5'
        handler.reply(b"who?", ("WWW-Authenticate", challenge), status=401)


@route("/syntax")
def _syntax(handler: Handler) -> None:
    handler.raw(*SYNTAX[urlsplit(handler.path).query], pause=0.03)
    time.sleep(0.03)  # so that the client sees the bytes before the end


class _Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if tls is not None:  # each connection's thread shakes hands itself
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.count = 0
        self.stopping = threading.Event()

    def handle_error(self, *_args: Any) -> None:
        """Clients hang up here on purpose."""


class ShapeServer:
    """The server; a context manager. ``url`` stays after :meth:`stop`.

    Args:
        tls: to speak TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = _Threads(tls)
        self._thread = threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02), daemon=True)
        self.port = int(self._server.server_address[1])
        self.url = f"http{'s' if tls is not None else ''}://127.0.0.1:{self.port}"
        self.stopped = False

    @property
    def seen(self) -> list[tuple[str, str, dict[str, str], bytes]]:
        """Method, target, headers and body of each request."""
        return self._server.seen

    def stop(self) -> None:
        """Accept nothing any more."""
        if not self.stopped:
            self.stopped = True
            self._server.stopping.set()
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()
