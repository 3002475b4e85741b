"""Apps for real servers: they ask the database at import, at start-up, in a background thread and in requests."""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import flask
from pymongo import AsyncMongoClient, MongoClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

URI = os.environ["MONGODB_URI"]

client: MongoClient[dict[str, Any]] = MongoClient(URI)
AT_IMPORT = client.served.settings.find_one({"_id": "limits"}, {"_id": 0})
IN_BACKGROUND: list[Any] = []


def _watch() -> None:
    IN_BACKGROUND.extend(client.served.prices.find({}, batch_size=2).sort("_id", 1))


_watcher = threading.Thread(target=_watch)
_watcher.start()
_watcher.join()

flask_app = flask.Flask("served")


@flask_app.get("/items/<int:number>")
def item(number: int) -> dict[str, Any]:
    """Give an item, and all that was asked before any request."""
    found = client.served.items.find_one({"_id": number})
    return {"item": found, "settings": AT_IMPORT, "prices": IN_BACKGROUND, "made": _made()}


def _made() -> bool:
    result = client.served.visits.insert_one({"kind": "visit"})
    return client.served.visits.find_one({"_id": result.inserted_id}, {"kind": 1}) is not None


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    app.state.client = AsyncMongoClient(URI)
    app.state.settings = await app.state.client.served.settings.find_one({"_id": "start"}, {"_id": 0})
    yield
    await app.state.client.close()


async def _item(request: Request) -> JSONResponse:
    found = await request.app.state.client.served.items.find_one({"_id": request.path_params["number"]})
    return JSONResponse(
        {"item": found, "settings": AT_IMPORT, "started": request.app.state.settings, "prices": IN_BACKGROUND}
    )


starlette_app = Starlette(routes=[Route("/items/{number:int}", _item)], lifespan=_lifespan)
