"""A shop over Starlette, Motor and httpx. ``VARIANT`` selects a change to it; each is named in ``variants.py``."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from bson import ObjectId
from motor.motor_asyncio import AsyncIOMotorClient
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Document = dict[str, Any]

VARIANT = os.environ.get("VARIANT", "unchanged")
RATES = os.environ.get("RATES_URL", "http://127.0.0.1:9")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Connect."""
    client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(os.environ["MONGODB_URI"])
    app.state.shop = client.timetracer_matrix_starlette
    async with httpx.AsyncClient() as app.state.http:
        yield
    client.close()


async def place_order(shop: Any, order: Document) -> Document:
    """Write an order, its stock and its audit line."""
    placed = datetime.fromisoformat(order["placed"])
    total = order["count"] * 5 + (1 if VARIANT == "changed_value" else 0)
    key = ObjectId("6" * 24) if VARIANT == "changed_id" else ObjectId(order["id"])
    if VARIANT == "changed_date":
        placed += timedelta(days=1)
    document = {"_id": key, "customer": order["customer"], "total": total, "placed": placed}
    orders = shop.carts if VARIANT == "other_collection" else shop.orders
    audit = {"_id": f"audit-{order['id']}", "order": order["id"]}
    if VARIANT == "swapped_writes":
        await shop.audit.insert_one(audit)
        await orders.insert_one(document)
        await shop.stock.update_one({"_id": "tea"}, {"$inc": {"left": -order["count"]}})
        return document
    await orders.insert_one(document)
    await shop.stock.update_one({"_id": "tea"}, {"$inc": {"left": -order["count"]}})
    if VARIANT != "dropped_write":
        await shop.audit.insert_one(audit)
    return document


if VARIANT == "renamed":
    write_everything_about_an_order = place_order

    async def place_order(shop: Any, order: Document) -> Document:
        """The same by a function more, under another name."""
        return await write_everything_about_an_order(shop, order)


async def create(request: Request) -> Response:
    """Store an order; its log line is written behind the response."""
    if VARIANT == "log_line":
        logging.getLogger(__name__).warning("%s creating %s", datetime.now(UTC), uuid.uuid4())
    order, shop = await request.json(), request.app.state.shop
    document = await place_order(shop, order)
    shown = {"id": order["id"], "total": document["total"]}
    if VARIANT == "response_field":
        shown["currency"] = "EUR"
    headers = {"x-shop": "other" if VARIANT == "header" else "tea"}
    log = BackgroundTask(shop.log.insert_one, {"_id": f"log-{order['id']}", "event": "created"})
    return JSONResponse(shown, 200 if VARIANT == "status" else 201, headers, background=log)


async def show(request: Request) -> Response:
    """Show an order with its customer: two reads that do not depend on one another."""
    order = request.path_params["order"]
    found, customer = await reads(request.app.state.shop, ObjectId(order), request.query_params["customer"])
    shown = {"id": order, "total": found["total"], "placed": found["placed"].isoformat(), "name": customer["name"]}
    return JSONResponse(shown)


async def reads(shop: Any, order: ObjectId, customer: str) -> tuple[Document, Document]:
    """Read both, as the variant has it."""
    wanted = {"_id": order, "total": {"$gt": 0}} if VARIANT == "changed_query" else {"_id": order}
    if VARIANT == "extra_call":
        await shop.stock.find_one({"_id": "tea"})
    if VARIANT == "swapped_reads":
        person = await shop.customers.find_one({"_id": customer})
        return await shop.orders.find_one(wanted) or {}, person or {}
    if VARIANT == "parallel_reads":
        one, other = await asyncio.gather(shop.orders.find_one(wanted), shop.customers.find_one({"_id": customer}))
        return one or {}, other or {}
    return await shop.orders.find_one(wanted) or {}, await shop.customers.find_one({"_id": customer}) or {}


async def visit(request: Request) -> Response:
    """Count a visit; whatever goes wrong with that is no reason to fail."""
    customer = request.path_params["customer"]
    field = "seen" if VARIANT == "swallowed_miss" else "visits"
    try:
        await request.app.state.shop.customers.update_one({"_id": customer}, {"$inc": {field: 1}})
    except Exception:  # noqa: BLE001 - what this route is about
        logging.getLogger(__name__).warning("visit not counted")
    return JSONResponse({"welcome": customer})


async def log_in(request: Request) -> Response:
    """Make up values of every kind, store some and show them all."""
    made = {
        "uuid": str(uuid.uuid4()),
        "token": secrets.token_hex(8),
        "number": random.random(),
        "now": datetime.now(UTC).isoformat(),
    }
    written = {"token": made["token"], "at": datetime.now(UTC), "uuid": uuid.uuid4().hex}
    result = await request.app.state.shop.sessions.insert_one(written)
    return JSONResponse({"id": str(result.inserted_id), "other": str(ObjectId()), **made})


async def rate(request: Request) -> Response:
    """Ask another service, and pass on what it says."""
    currency = request.path_params["currency"]
    params = {"to": currency.lower() if VARIANT == "changed_url" else currency}
    said = await request.app.state.http.get(f"{RATES}/rate", params=params)
    return JSONResponse({"currency": currency, **said.json()})


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/orders", create, methods=["POST"]),
        Route("/orders/{order}", show),
        Route("/visits/{customer}", visit, methods=["POST"]),
        Route("/sessions", log_in, methods=["POST"]),
        Route("/rates/{currency}", rate),
    ],
)
