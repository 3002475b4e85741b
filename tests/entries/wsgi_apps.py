"""WSGI apps that the tests put behind the seam."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from timetracer_otel.families.entry import wsgi

Environ = dict[str, Any]
Start = Callable[..., Any]


def seamed(app: Callable[..., Any]) -> Callable[..., Any]:
    """The app behind the seam."""
    return lambda request, start: wsgi.run(app, request, start)


def hello(_request: Environ, start: Start) -> list[bytes]:
    """Answer in one piece."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [b"hel", b"lo"]


def streaming(*steps: Callable[[], bytes]) -> Callable[..., Iterator[bytes]]:
    """An app whose body is made by these steps."""

    def app(_request: Environ, start: Start) -> Iterator[bytes]:
        start("200 OK", [])
        for step in steps:
            yield step()

    return app


class Closing:
    """An iterable with a close()."""

    def __init__(self, chunks: list[bytes], closing: Callable[[], None]) -> None:
        self.chunks = chunks
        self.closing = closing

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        """Do what the test asked for."""
        self.closing()
