"""A webhook: Starlette, and two services asked through httpx, at once. It knows nothing of timetracer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

ACCOUNTS = os.environ.get("ACCOUNTS_URL", "http://127.0.0.1:8001")
NOTIFY = os.environ.get("NOTIFY_URL", "http://127.0.0.1:8002")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Keep one client; ask at start-up what the services can do."""
    async with httpx.AsyncClient(follow_redirects=True, timeout=10) as client:
        app.state.client = client
        app.state.channels = (await client.get(f"{NOTIFY}/channels")).json()
        yield


async def webhook(request: Request) -> Response:
    """Look up everybody whom an event concerns at once, notify them, and say so later in the background."""
    client: httpx.AsyncClient = request.app.state.client
    event = await request.json()
    found = await asyncio.gather(*(client.get(f"{ACCOUNTS}/accounts/{name}") for name in event["users"]))
    known = [reply.json() for reply in found if reply.status_code == httpx.codes.OK]
    channel = request.app.state.channels[0]
    sent = await asyncio.gather(
        *(client.post(f"{NOTIFY}/{channel}", data={"to": one["email"], "text": event["text"]}) for one in known)
    )
    later = BackgroundTask(client.put, f"{ACCOUNTS}/events", json={"text": event["text"], "reached": len(known)})
    answer = {"unknown": len(found) - len(known), "sent": [reply.json()["id"] for reply in sent]}
    return JSONResponse(answer, 202, background=later)


async def log(request: Request) -> Response:
    """Pass on the events of the notifier as they come (Server-Sent Events)."""
    client: httpx.AsyncClient = request.app.state.client

    async def lines() -> AsyncIterator[bytes]:
        async with client.stream("GET", f"{NOTIFY}/log") as reply:
            async for piece in reply.aiter_raw():
                yield piece

    return StreamingResponse(lines(), media_type="text/event-stream")


app = Starlette(
    routes=[Route("/webhook", webhook, methods=["POST"]), Route("/log", log)],
    lifespan=lifespan,
)
