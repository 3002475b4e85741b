"""A shop over Flask and PyMongo. ``VARIANT`` selects a change to it; each is named in ``variants.py``."""

from __future__ import annotations

import logging
import os
import random
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from flask import Flask, Response, jsonify, request
from pymongo import MongoClient

Document = dict[str, Any]

VARIANT = os.environ.get("VARIANT", "unchanged")
shop = MongoClient[Document](os.environ["MONGODB_URI"]).timetracer_matrix_flask
app = Flask(__name__)
pool = ThreadPoolExecutor(2)


def place_order(order: Document) -> Document:
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
        shop.audit.insert_one(audit)
        orders.insert_one(document)
        shop.stock.update_one({"_id": "tea"}, {"$inc": {"left": -order["count"]}})
        return document
    orders.insert_one(document)
    shop.stock.update_one({"_id": "tea"}, {"$inc": {"left": -order["count"]}})
    if VARIANT != "dropped_write":
        shop.audit.insert_one(audit)
    return document


if VARIANT == "renamed":
    write_everything_about_an_order = place_order

    def place_order(order: Document) -> Document:
        """The same by a function more, under another name."""
        return write_everything_about_an_order(order)


@app.post("/orders")
def create() -> tuple[Response, int]:
    """Store an order."""
    if VARIANT == "log_line":
        logging.getLogger(__name__).warning("%s creating %s", datetime.now(UTC), uuid.uuid4())
    order = request.get_json()
    document = place_order(order)
    shown = {"id": order["id"], "total": document["total"]}
    if VARIANT == "response_field":
        shown["currency"] = "EUR"
    response = jsonify(shown)
    response.headers["X-Shop"] = "other" if VARIANT == "header" else "tea"
    return response, 200 if VARIANT == "status" else 201


@app.get("/orders/<order>")
def show(order: str) -> Response:
    """Show an order with its customer: two reads that do not depend on one another."""
    found, customer = reads(ObjectId(order), request.args["customer"])
    return jsonify(id=order, total=found["total"], placed=found["placed"].isoformat(), name=customer["name"])


def reads(order: ObjectId, customer: str) -> tuple[Document, Document]:
    """Read both, as the variant has it."""
    wanted = {"_id": order, "total": {"$gt": 0}} if VARIANT == "changed_query" else {"_id": order}
    if VARIANT == "extra_call":
        shop.stock.find_one({"_id": "tea"})
    if VARIANT == "swapped_reads":
        person = shop.customers.find_one({"_id": customer})
        return shop.orders.find_one(wanted) or {}, person or {}
    if VARIANT == "parallel_reads":
        one, other = pool.submit(shop.orders.find_one, wanted), pool.submit(shop.customers.find_one, {"_id": customer})
        return one.result() or {}, other.result() or {}
    return shop.orders.find_one(wanted) or {}, shop.customers.find_one({"_id": customer}) or {}


@app.post("/visits/<customer>")
def visit(customer: str) -> Response:
    """Count a visit; whatever goes wrong with that is no reason to fail."""
    field = "seen" if VARIANT == "swallowed_miss" else "visits"
    try:
        shop.customers.update_one({"_id": customer}, {"$inc": {field: 1}})
    except Exception:  # noqa: BLE001 - what this route is about
        logging.getLogger(__name__).warning("visit not counted")
    return jsonify(welcome=customer)


@app.post("/sessions")
def log_in() -> Response:
    """Make up values of every kind, store some and show them all."""
    made = {
        "uuid": str(uuid.uuid4()),
        "token": secrets.token_hex(8),
        "number": random.random(),
        "now": datetime.now(UTC).isoformat(),
    }
    key = shop.sessions.insert_one(
        {"token": made["token"], "at": datetime.now(UTC), "uuid": uuid.uuid4().hex}
    ).inserted_id
    return jsonify(id=str(key), other=str(ObjectId()), **made)
