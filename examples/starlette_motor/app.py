"""A task board: Starlette with both async clients of MongoDB. It knows nothing of timetracer.

Every route exists twice: ``/async/…`` asks PyMongo's AsyncMongoClient, ``/motor/…`` asks Motor.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.errors import DuplicateKeyError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Document = dict[str, Any]

URI = os.environ.get("MONGODB_URI", "mongodb://localhost:27017/")
STATES = ("todo", "doing", "done")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Connect both clients, and fill and read the board's settings before the first request."""
    client: AsyncMongoClient[Document] = AsyncMongoClient(URI)
    motor: AsyncIOMotorClient[Document] = AsyncIOMotorClient(URI)
    app.state.databases = {
        "async": client.timetracer_example_async,
        "motor": motor.timetracer_example_motor,
    }
    app.state.settings = {}
    for name, database in app.state.databases.items():
        new = {"title": f"Board of {name}"}
        await database.settings.update_one({"_id": "board"}, {"$setOnInsert": new}, upsert=True)
        app.state.settings[name] = await database.settings.find_one({"_id": "board"})
    yield
    await client.close()
    motor.close()


def database_of(request: Request) -> Any:
    """Give the database of the client that the path names; the two classes have one shape, and no common type."""
    try:
        return request.app.state.databases[request.path_params["client"]]
    except KeyError:
        raise HTTPException(404, "the path begins with /async or /motor") from None


async def create(request: Request) -> Response:
    """Store a task under the id that the request brings."""
    task = await request.json()
    database = database_of(request)
    document = {"_id": task["id"], "title": task["title"], "state": "todo", "created": datetime.now(UTC)}
    try:
        await database.tasks.insert_one(document)
    except DuplicateKeyError:
        raise HTTPException(409, f"there is a task {task['id']} already") from None
    log = BackgroundTask(database.log.insert_one, {"event": "created", "task": task["id"]})
    return JSONResponse({"id": task["id"]}, status_code=201, background=log)


async def show(request: Request) -> Response:
    """Show a task, with the time that the database has."""
    task = await database_of(request).tasks.find_one({"_id": request.path_params["task"]})
    if task is None:
        raise HTTPException(404, "there is no such task")
    return JSONResponse({**task, "created": task["created"].isoformat()})


async def move(request: Request) -> Response:
    """Move a task to another state."""
    wanted = await request.json()
    task = await database_of(request).tasks.find_one_and_update(
        {"_id": request.path_params["task"]},
        {"$set": {"state": wanted["state"]}},
        return_document=ReturnDocument.AFTER,
    )
    if task is None:
        raise HTTPException(404, "there is no such task")
    return JSONResponse({"id": task["_id"], "state": task["state"]})


async def fill(request: Request) -> Response:
    """Store many tasks at once."""
    count = (await request.json())["count"]
    tasks = [{"_id": f"task-{n:03}", "title": f"Task {n}", "state": STATES[n % 3]} for n in range(count)]
    result = await database_of(request).tasks.insert_many(tasks)
    return JSONResponse({"inserted": len(result.inserted_ids)}, status_code=201)


async def export(request: Request) -> Response:
    """Stream all tasks, one a line; the cursor needs several batches."""
    cursor = database_of(request).tasks.find(batch_size=100).sort("_id")

    async def lines() -> AsyncIterator[str]:
        async for task in cursor:
            yield f"{task['_id']} {task['state']}\n"

    return StreamingResponse(lines(), media_type="text/plain")


async def board(request: Request) -> Response:
    """Count the tasks of each state, all at the same time."""
    database = database_of(request)
    counts = await asyncio.gather(*(database.tasks.count_documents({"state": state}) for state in STATES))
    settings = request.app.state.settings[request.path_params["client"]]
    return JSONResponse({"title": settings["title"], **dict(zip(STATES, counts, strict=True))})


async def clear(request: Request) -> Response:
    """Delete what is done."""
    await database_of(request).tasks.delete_many({"state": "done"})
    return Response(status_code=204)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/{client}/tasks", create, methods=["POST"]),
        Route("/{client}/tasks", export, methods=["GET"]),
        Route("/{client}/tasks/{task}", show, methods=["GET"]),
        Route("/{client}/tasks/{task}", move, methods=["PATCH"]),
        Route("/{client}/fill", fill, methods=["POST"]),
        Route("/{client}/board", board, methods=["GET"]),
        Route("/{client}/done", clear, methods=["DELETE"]),
    ],
)
