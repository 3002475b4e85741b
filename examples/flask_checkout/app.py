"""A checkout: Flask, PyMongo, and a payment service asked through requests. It knows nothing of timetracer."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import requests
from flask import Flask, Response, jsonify, request
from pymongo import MongoClient
from werkzeug.exceptions import BadGateway, NotFound

Document = dict[str, Any]

PAYMENTS = os.environ.get("PAYMENTS_URL", "http://127.0.0.1:5001")
shop = MongoClient[Document](os.environ.get("MONGODB_URI", "mongodb://localhost:27017/")).timetracer_example_checkout
payments = requests.Session()
app = Flask(__name__)

PRICES = {"tea": 490, "cup": 1200}


@app.post("/checkout")
def checkout() -> tuple[Response, int]:
    """Charge the card, then store the order; what the service declines is declined here."""
    order = request.get_json()
    amount = sum(PRICES[name] * count for name, count in order["items"].items())
    paid = payments.post(
        f"{PAYMENTS}/charges",
        json={"order": order["id"], "amount": amount, "currency": "EUR"},
        headers={"Idempotency-Key": str(uuid.uuid4())},
        timeout=10,
    )
    if paid.status_code == requests.codes.payment_required:
        shop.declined.insert_one({"order": order["id"], "reason": paid.json()["reason"]})
        return jsonify(id=order["id"], declined=paid.json()["reason"]), 402
    paid.raise_for_status()
    shop.orders.insert_one(
        {"_id": order["id"], "amount": amount, "charge": paid.json()["id"], "etag": paid.headers["ETag"]}
    )
    return jsonify(id=order["id"], amount=amount, charge=paid.json()["id"]), 201


@app.get("/orders/<order>")
def show(order: str) -> Response:
    """Show an order with what the payment service says of it now."""
    found = shop.orders.find_one({"_id": order})
    if found is None:
        raise NotFound(f"there is no order {order}")
    charge = payments.get(f"{PAYMENTS}/charges/{found['charge']}", timeout=10)
    if not charge.ok:
        raise BadGateway(f"the payment service answered {charge.status_code}")
    return jsonify(id=order, amount=found["amount"], charge=charge.json(), cookies=payments.cookies.get_dict())


@app.get("/receipts/<order>")
def receipt(order: str) -> Response:
    """Stream a receipt from the payment service, piece by piece."""
    found = shop.orders.find_one({"_id": order}) or {}
    reply = payments.get(f"{PAYMENTS}/receipts/{found.get('charge')}", stream=True, timeout=10)

    def lines() -> Iterator[bytes]:
        with reply:
            yield from reply.iter_content(None)

    return Response(lines(), status=reply.status_code, mimetype="text/plain")
