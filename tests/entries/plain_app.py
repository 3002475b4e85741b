"""The same app twice, of no framework: a function of WSGI and one of ASGI."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
import uuid
from collections.abc import Callable, Iterable
from typing import Any


def told(path: str, body: bytes) -> bytes:
    """Give an id of the app's own, what was sent, and what a peer says of a path."""
    with urllib.request.urlopen(os.environ["PEER"] + path) as answer:  # noqa: S310 - a peer on loopback
        return json.dumps([str(uuid.uuid4()), len(body), answer.read().decode()]).encode()


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer in two pieces; /late fails when it has begun a response, and given nothing of it."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    answer = told(environ["PATH_INFO"], environ["wsgi.input"].read(size))
    start_response("200 OK", [("Content-Type", "application/json")])
    if environ["PATH_INFO"] == "/late":
        raise RuntimeError("nothing comes")
    return iter([answer[:3], answer[3:]])


async def asgi(scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
    """The same, asked from a thread."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])  # so the specification of ASGI: a server goes on without it
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer = await asyncio.to_thread(told, scope["path"], body)
    if scope["path"] == "/late":
        raise RuntimeError("nothing comes")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer[:3], "more_body": True})
    await send({"type": "http.response.body", "body": answer[3:]})


class Asgi:
    """The same as an object, which a server asks whether it can be awaited."""

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        """Answer."""
        await asgi(scope, receive, send)


an_object = Asgi()
