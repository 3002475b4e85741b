"""The two services: gone when the webhook is replayed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

PEOPLE = {"ada": "ada@example.org", "grace": "grace@example.org"}
sent: list[str] = []


async def account(request: Request) -> Response:
    """Show an account; an old name leads to the new one."""
    name = request.path_params["name"]
    if name == "countess":
        return RedirectResponse("/accounts/ada", 301)
    if name not in PEOPLE:
        return JSONResponse({"error": "unknown"}, 404)
    return JSONResponse({"name": name, "email": PEOPLE[name]})


async def event(request: Request) -> Response:
    """Take note of an event."""
    await request.json()
    return Response(status_code=204)


async def channels(_request: Request) -> Response:
    """List the ways to notify somebody."""
    return JSONResponse(["mail", "text"])


async def mail(request: Request) -> Response:
    """Send a mail, with a random id."""
    form = (await request.body()).decode()
    sent.append(form)
    return JSONResponse({"id": str(uuid.uuid4())}, 201)


async def log(_request: Request) -> Response:
    """Stream what was sent."""

    async def events() -> AsyncIterator[str]:
        for form in sorted(sent):
            yield f"event: sent\ndata: {form}\n\n"

    return StreamingResponse(events(), media_type="text/event-stream")


accounts = Starlette(routes=[Route("/accounts/{name}", account), Route("/events", event, methods=["PUT"])])
notify = Starlette(
    routes=[Route("/channels", channels), Route("/mail", mail, methods=["POST"]), Route("/log", log)],
)
