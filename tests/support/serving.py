"""A server of the standard library, on loopback while a test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

__all__ = ["Server", "Telling", "serving"]


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    request_queue_size = 128


class Telling(BaseHTTPRequestHandler):
    """Answers a GET with a text."""

    def told(self) -> str:
        """Say what was asked for."""
        return f"at {self.path}"

    def do_GET(self) -> None:
        """Tell it."""
        body = self.told().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on a free port; give the URL without a path.

    Args:
        handler: of the requests.
    """
    with Server(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
