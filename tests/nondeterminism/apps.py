"""Apps whose responses show what they draw, and what the driver draws for them."""

# ruff: noqa: DTZ005 - apps draw local times too

from __future__ import annotations

import asyncio
import random
import secrets
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

__all__ = ["flask_app", "starlette_app"]


def made(name: str) -> dict[str, Any]:
    """A document with everything that differs from run to run."""
    return {
        "name": name,
        "key": str(uuid.uuid4()),
        "token": secrets.token_urlsafe(8),
        "price": random.randint(1, 10**9),
        "at": datetime.now(UTC).replace(microsecond=0),
        "since": time.time(),
        "took": time.perf_counter(),
    }


def shown(document: dict[str, Any]) -> dict[str, str]:
    """The document as a response shows it."""
    return {name: str(value) for name, value in document.items()}


def flask_app(client: Any) -> flask.Flask:
    """Orders by PyMongo: the driver makes their ids."""
    app = flask.Flask(__name__)
    orders = client.nondeterminism.orders

    @app.post("/orders/<name>")
    def order(name: str) -> flask.Response:
        document = made(name)
        orders.insert_one(document)
        many = [made(f"{name} {number}") for number in range(3)]
        orders.insert_many(many)
        time.sleep(random.random() / 100)
        with ThreadPoolExecutor(4) as pool:
            parallel = list(pool.map(made, ["a", "b", "c", "d"]))
        found = orders.find_one({"key": document["key"]})
        response = flask.jsonify([shown(one) for one in (document, *many, *parallel, found)])
        response.set_cookie("visit", secrets.token_hex(4), max_age=60)
        return response

    @app.post("/visits")
    def visit() -> str:
        document = {"name": "visit", "at": datetime.now(UTC)}
        return str(client.nondeterminism.visits.insert_one(document).inserted_id)

    @app.get("/stream")
    def stream() -> flask.Response:
        def lines() -> Any:
            for number in range(3):
                yield f"{number} {uuid.uuid4()} {datetime.now()}\n"

        return flask.Response(lines(), mimetype="text/plain")

    return app


def starlette_app(client: Any) -> Starlette:
    """Orders by an asynchronous driver, several at once in each request."""
    orders = client.nondeterminism.async_orders

    async def place(name: str) -> dict[str, str]:
        document = made(name)
        await asyncio.sleep(random.random() / 200)
        await orders.insert_one(document)
        found = await orders.find_one({"key": document["key"]})
        return shown(document) | {"found": str(found), "later": str(uuid.uuid4())}

    async def order(request: Request) -> Response:
        name = request.path_params["name"]
        placed = await asyncio.gather(*(place(f"{name} {number}") for number in range(4)))
        in_thread = await asyncio.to_thread(lambda: str(uuid.uuid4()))
        response = JSONResponse([*placed, in_thread, str(datetime.now())])
        response.set_cookie("visit", secrets.token_hex(4), max_age=60, expires=60)
        return response

    return Starlette(routes=[Route("/orders/{name}", order, methods=["POST"])])
