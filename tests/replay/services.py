"""Three services that ask one another: shop asks payment (once a part), payment asks stock."""

from __future__ import annotations

import os
import uuid

import httpx
from flask import Flask, Response, jsonify, request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PAYMENT, STOCK = os.environ.get("PAYMENT_URL", "http://127.0.0.1:9"), os.environ.get("STOCK_URL", "http://127.0.0.1:9")
CHANGED = bool(os.environ.get("CHANGED"))

shop = Flask("shop")
stock = Flask("stock")


@shop.post("/orders/<item>")
def order(item: str) -> Response:
    """Pay for an item in parts; each part is a request of the same trace."""
    parts = int(request.args.get("parts", "1"))
    receipts = [httpx.post(f"{PAYMENT}/charges", json={"item": item, "part": part}).json() for part in range(parts)]
    return jsonify(order=str(uuid.uuid4()), receipts=receipts)


async def charge(request: Request) -> JSONResponse:
    """Ask what an item costs, and make up a receipt."""
    asked = await request.json()
    async with httpx.AsyncClient() as client:
        found = await client.get(f"{STOCK}/items/{asked['item']}", params={"tax": "1"} if CHANGED else None)
    return JSONResponse({"receipt": str(uuid.uuid4()), "part": asked["part"], **found.json()})


payment = Starlette(routes=[Route("/charges", charge, methods=["POST"])])


@stock.get("/items/<item>")
def price(item: str) -> Response:
    """Say what an item costs."""
    return jsonify(item=item, price=len(item))
