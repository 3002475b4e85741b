"""A FastAPI app whose responses do not end as they should."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

app = FastAPI()
WORD = os.environ.get("WORD", "tick")


@app.get("/endless")
async def endless() -> Response:
    """Say a word for ever."""

    async def words() -> AsyncIterator[str]:
        number = 0
        while True:
            yield f"{WORD} {number};"
            number += 1
            await asyncio.sleep(0.05)

    return StreamingResponse(words())


@app.get("/breaks")
async def breaks() -> Response:
    """Say a part, then fail; of a mended app, end."""

    async def words() -> AsyncIterator[str]:
        yield WORD
        if "MENDED" not in os.environ:
            raise RuntimeError("in the middle")

    return StreamingResponse(words())


@app.post("/upload")
async def upload(request: Request) -> Response:
    """Read what is not too large."""
    if int(request.headers["content-length"]) > 1000:
        return PlainTextResponse("too large", 413)
    return PlainTextResponse(str(len(await request.body())))


@app.get("/relay")
async def relay() -> Response:
    """Pass on what an endless peer says."""

    async def pieces() -> AsyncIterator[bytes]:
        async with httpx.AsyncClient() as client, client.stream("GET", os.environ["PEER"]) as response:
            async for piece in response.aiter_raw():
                yield piece

    return StreamingResponse(pieces())
