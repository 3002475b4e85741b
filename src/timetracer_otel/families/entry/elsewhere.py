"""What the seams of WSGI and ASGI give a server for a request that a fork answers, see :mod:`seams.handover`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from timetracer_otel.seams.handover import handover

__all__ = ["LastAnswer", "silent_asgi", "silent_wsgi"]

_HEADERS = (("Content-Length", "0"), ("Connection", "close"))


def silent_wsgi(start_response: Callable[..., Any], status: str) -> list[bytes]:
    """Answer with nothing; the connection is shut already.

    Args:
        start_response: the server's.
        status: for the server's log.
    """
    start_response(status, list(_HEADERS))
    return []


async def silent_asgi(send: Callable[[dict[str, Any]], Awaitable[None]], status: str) -> None:
    """Answer with nothing; the connection is shut already.

    Args:
        send: the server's.
        status: for the server's log.
    """
    headers = [(name.lower().encode(), value.encode()) for name, value in _HEADERS]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": b""})


class LastAnswer:
    """A response's iterable in such a fork: it ends when the server has closed it.

    Args:
        result: the iterable.
    """

    def __init__(self, result: Any) -> None:
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._result)

    def close(self) -> None:
        """Close the iterable, and end the process: the server closes what it has sent."""
        try:
            close = getattr(self._result, "close", None)
            if close is not None:
                close()
        finally:
            if handover.closed is not None:
                handover.closed()
