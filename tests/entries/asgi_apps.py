"""ASGI apps that the tests put behind the seam."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.entries.doubles import Events, scope, serve_asgi
from timetracer_otel.families.entry import asgi

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

EMPTY = [{"type": "http.request", "body": b"", "more_body": False}]
OK = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def seamed(app: Callable[..., Any]) -> Callable[..., Any]:
    """The app behind the seam."""
    return lambda request, receive, send: asgi.run(app, request, receive, send)


def sending(*messages: Message) -> Callable[..., Any]:
    """An app that sends these messages."""

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def body(data: bytes, *, more: bool = False) -> Message:
    """One message of a response's body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


hello = sending(OK, body(b"hello"))


async def serve(app: Callable[..., Any], request: Scope | None = None, incoming: list[Message] | None = None) -> Events:
    """Serve the app behind the seam."""
    return await serve_asgi(
        seamed(app), scope() if request is None else request, EMPTY if incoming is None else incoming
    )
