"""A FastAPI app whose handlers post from tasks and threads of every kind."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import httpx
import requests
from fastapi import FastAPI, Request

PEER = os.environ["RATES_URL"]
Post = Callable[[str], Awaitable[str]]
Names = list[str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all requests."""
    async with httpx.AsyncClient(timeout=30) as app.state.http:
        yield


app = FastAPI(lifespan=lifespan)


def told(name: str) -> dict[str, str]:
    """What is posted: a value of its own each time."""
    return {"name": name, "id": str(uuid.uuid4())}


async def by_httpx(client: httpx.AsyncClient, name: str) -> str:
    """Post, and ask and draw once more when the answer is there."""
    answer = await client.post(f"{PEER}/httpx", json=told(name))
    number = await client.get(f"{PEER}/next")  # answered differently each time
    return f"{answer.text} {number.text} {uuid.uuid4()}"


def by_requests(name: str) -> str:
    """Post from a thread."""
    return requests.post(f"{PEER}/requests", json=told(name), timeout=30).text


async def gathered(post: Post, names: Names) -> Names:
    """By ``gather``."""
    return list(await asyncio.gather(*map(post, names)))


async def grouped(post: Post, names: Names) -> Names:
    """By a TaskGroup."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_awaited(post, name)) for name in names]
    return [task.result() for task in tasks]


async def _awaited(post: Post, name: str) -> str:
    return await post(name)


async def in_task_group(post: Post, names: Names) -> Names:
    """By a task group of anyio's."""
    found: dict[str, str] = {}

    async def run(name: str) -> None:
        found[name] = await post(name)

    async with anyio.create_task_group() as group:
        for name in names:
            group.start_soon(run, name)
    return [found[name] for name in names]


async def in_threads(_: Post, names: Names) -> Names:
    """By ``to_thread``."""
    return list(await asyncio.gather(*(asyncio.to_thread(by_requests, name) for name in names)))


async def in_executor(_: Post, names: Names) -> Names:
    """By the loop's executor."""
    loop = asyncio.get_running_loop()
    return list(await asyncio.gather(*(loop.run_in_executor(None, by_requests, name) for name in names)))


async def in_anyio_threads(_: Post, names: Names) -> Names:
    """By a thread of anyio's, one after the other."""
    return [await anyio.to_thread.run_sync(by_requests, name) for name in names]


WAYS: dict[str, Callable[[Post, Names], Awaitable[Names]]] = {
    "gather": gathered,
    "group": grouped,
    "anyio": in_task_group,
    "to_thread": in_threads,
    "executor": in_executor,
    "anyio_thread": in_anyio_threads,
}


@app.post("/tasks/{way}/{name}")
async def post(request: Request, way: str, name: str) -> Any:
    """Post six times at once, and answer what came back."""
    names = [f"{name} {number}" for number in range(6)]
    return await WAYS[way](partial(by_httpx, request.app.state.http), names)


@app.post("/sync/{name}")
def post_sync(name: str) -> Any:
    """A handler that runs in a thread by itself."""
    return [by_requests(f"{name} {number}") for number in range(2)]
