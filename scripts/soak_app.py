"""The app of the soak: one answer a request, with a few calls; each twentieth answer is large.

It is served by WSGI (``scripts.soak_app:wsgi``) and by ASGI (``scripts.soak_app:asgi``).
"""

from __future__ import annotations

import os

from flask import Flask, Response
from opentelemetry import trace
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

LARGE_EVERY = 20
LARGE_BYTES = 200_000
"""More than is written inline: such lanes pass through the writer's queue."""

wsgi = Flask(__name__)


def _body(number: int) -> str:
    for _ in range(3):
        trace.get_tracer("soak").start_span("call", kind=SpanKind.CLIENT).end()
    return f"{number} {os.getpid()} " + ("x" * LARGE_BYTES if number % LARGE_EVERY == 0 else "")


@wsgi.get("/items/<int:number>")
def item(number: int) -> Response:
    """Answer with the number."""
    return Response(_body(number), mimetype="text/plain")


async def _item(request: Request) -> PlainTextResponse:
    return PlainTextResponse(_body(int(request.path_params["number"])))


asgi = Starlette(routes=[Route("/items/{number:int}", _item)])
