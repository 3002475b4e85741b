"""Web apps with one endpoint for each operation. `make` gives one by name, for tests and for servers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import flask
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.pymongo.driver import DRIVERS, drive
from tests.pymongo.operations import OPERATIONS, Use
from tests.pymongo.shown import text

__all__ = ["flask_app", "starlette_app"]


def flask_app(client: Any) -> flask.Flask:
    """Give a Flask app that answers ``POST /<operation>`` with MongoClient."""
    app = flask.Flask("operations")

    @app.post("/<name>")
    def use(name: str) -> flask.Response:
        said = drive(OPERATIONS[name](Use(DRIVERS["sync"], client, client[f"flask_{name}"])))
        response = flask.Response(text(said), mimetype="application/json")
        response.headers["X-Operation"] = name
        return response

    return app


def starlette_app(driver: str, connect: Callable[[], Any]) -> Starlette:
    """Give a Starlette app that answers ``POST /<operation>``; its client is made at start-up.

    Args:
        driver: ``async`` or ``motor``.
        connect: makes the client.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.client = connect()
        app.state.settings = await app.state.client.startup.settings.find_one({"_id": "limits"})
        yield
        await DRIVERS[driver].get(app.state.client.close())

    async def use(request: Request) -> Response:
        name, client = request.path_params["name"], request.app.state.client
        said = await OPERATIONS[name](Use(DRIVERS[driver], client, client[f"{driver}_{name}"]))
        return Response(
            text([said, request.app.state.settings]), headers={"x-operation": name}, media_type="application/json"
        )

    return Starlette(routes=[Route("/{name}", use, methods=["POST"])], lifespan=lifespan)


def __getattr__(name: str) -> Any:
    """Give ``flask_served``, ``async_served`` or ``motor_served``: an app with the server of ``MONGODB_URI``."""
    uri = os.environ.get("MONGODB_URI", "")
    if name == "flask_served":
        return flask_app(DRIVERS["sync"].client(uri))
    driver = name.removesuffix("_served")
    if driver in ("async", "motor"):
        return starlette_app(driver, lambda: DRIVERS[driver].client(uri))
    raise AttributeError(name)
