"""Small local servers that speak as much of a service as a test needs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Answer = tuple[int, dict[str, str], bytes | list[bytes]]
"""Status, headers, and the body; in pieces when it goes out chunked."""


class FakeServer:
    """A server with routes: ``server.on("POST", "/v1/things", answer)``. Records what came in ``seen``."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Callable[[bytes], Answer]] = {}
        self.seen: list[tuple[str, str, bytes]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):
                    return lambda: fake.answer(self)
                raise AttributeError(name)

            def log_message(self, *_args: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._stopped = False
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def on(self, method: str, path: str, body: Any, status: int = 200, **headers: str) -> None:
        """Answer a request by JSON, or by bytes, or in pieces."""
        fields = {"Content-Type": "application/json"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        content = body if isinstance(body, bytes | list) else json.dumps(body).encode()
        self.routes[method, path] = lambda _request: (status, fields, content)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        body = _body(handler)
        path = handler.path.partition("?")[0]
        self.seen.append((handler.command, handler.path, body))
        missing: Callable[[bytes], Answer] = lambda _request: (404, {}, b"{}")  # noqa: E731 - a default in one line
        status, headers, content = self.routes.get((handler.command, path), missing)(body)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if isinstance(content, list):
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            for piece in [*content, b""]:
                handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                handler.wfile.flush()
            return
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(content)

    def stop(self) -> None:
        """Accept nothing any more."""
        if not self._stopped:
            self._stopped = True
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Self:
        threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02), daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in handler.headers.get("Transfer-Encoding", ""):
        return handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
    pieces = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        pieces.append(handler.rfile.read(size))
        handler.rfile.readline()
    while handler.rfile.readline().strip():
        pass
    return b"".join(pieces)
