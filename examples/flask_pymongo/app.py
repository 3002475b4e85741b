"""A shop: Flask and PyMongo. It knows nothing of timetracer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bson import Decimal128
from flask import Flask, Response, jsonify, request
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import DuplicateKeyError
from werkzeug.exceptions import Conflict, NotFound

Document = dict[str, Any]

client: MongoClient[Document] = MongoClient(os.environ.get("MONGODB_URI", "mongodb://localhost:27017/"))
shop = client.timetracer_example_flask
app = Flask(__name__)

# At import: what a process asks before its first request is replayed as well.
shop.users.create_index("email", unique=True)
for product, price, stock in (("tea", "4.90", 40), ("cup", "12.00", 3)):
    new = {"price": Decimal128(price), "stock": stock}
    shop.products.update_one({"_id": product}, {"$setOnInsert": new}, upsert=True)
prices: dict[str, Decimal] = {found["_id"]: found["price"].to_decimal() for found in shop.products.find()}


@app.errorhandler(DuplicateKeyError)
def duplicate(error: DuplicateKeyError) -> tuple[Response, int]:
    """Answer 409 when a unique value is taken."""
    return jsonify(error="taken", key=(error.details or {}).get("keyValue")), 409


@app.post("/users")
def create_user() -> tuple[Response, int]:
    """Store a user; the id and the e-mail address must be new."""
    user = request.get_json()
    shop.users.insert_one({"_id": user["id"], "email": user["email"], "joined": datetime.now(UTC), "orders": 0})
    return jsonify(id=user["id"]), 201


@app.get("/users/<user>")
def show_user(user: str) -> Response:
    """Show a user, with the time that the database has."""
    found = shop.users.find_one({"_id": user})
    if found is None:
        raise NotFound(f"there is no user {user}")
    return jsonify(id=user, email=found["email"], orders=found["orders"], joined=found["joined"].isoformat())


@app.delete("/users/<user>")
def delete_user(user: str) -> tuple[str, int]:
    """Delete a user; 204 has no body."""
    shop.users.delete_one({"_id": user})
    return "", 204


@app.get("/products/<product>")
def show_product(product: str) -> Response:
    """Show what is left of a product."""
    found = shop.products.find_one({"_id": product})
    if found is None:
        raise NotFound(f"there is no product {product}")
    return jsonify(id=product, price=str(found["price"]), stock=found["stock"])


@app.post("/checkout")
def checkout() -> tuple[Response, int]:
    """Take the goods and write the order in one transaction: both happen, or neither."""
    order = request.get_json()
    with client.start_session() as session:
        total = session.with_transaction(lambda running: place(order, running))
    shop.audit.insert_one({"event": "checkout", "order": order["id"]})  # the driver makes up the _id
    return jsonify(id=order["id"], total=str(total)), 201


def place(order: Document, session: ClientSession) -> Decimal:
    """Give the total of an order that is placed within a transaction."""
    total = Decimal(0)
    for name, count in order["items"].items():
        in_stock = {"_id": name, "stock": {"$gte": count}}
        if shop.products.find_one_and_update(in_stock, {"$inc": {"stock": -count}}, session=session) is None:
            raise Conflict(f"there are not {count} of {name} left")
        total += prices[name] * count
    document = {"_id": order["id"], "user": order["user"], "total": Decimal128(total), "placed": datetime.now(UTC)}
    shop.orders.insert_one(document, session=session)
    shop.users.update_one({"_id": order["user"]}, {"$inc": {"orders": 1}}, session=session)
    return total


@app.post("/orders/import")
def import_orders() -> tuple[Response, int]:
    """Store old orders, one an hour."""
    wanted = request.get_json()
    first = datetime(2026, 1, 1, tzinfo=UTC)
    result = shop.orders.insert_many(
        {
            "_id": f"{wanted['user']}-{number:03}",
            "user": wanted["user"],
            "total": Decimal128(prices["tea"] * (number % 7 + 1)),
            "placed": first + timedelta(hours=number),
        }
        for number in range(wanted["count"])
    )
    return jsonify(imported=len(result.inserted_ids)), 201


@app.get("/orders/<user>")
def list_orders(user: str) -> Response:
    """List all orders of a user: the cursor needs several batches."""
    cursor = shop.orders.find({"user": user}, batch_size=100).sort("_id")
    return jsonify([{"id": order["_id"], "total": str(order["total"])} for order in cursor])


@app.get("/orders/<user>.csv")
def export_orders(user: str) -> Response:
    """Stream the orders: the cursor is read while the response is on its way."""

    def lines() -> Iterator[str]:
        for order in shop.orders.find({"user": user}, batch_size=100).sort("placed"):
            yield f"{order['_id']},{order['total']},{order['placed'].isoformat()}\n"

    return Response(lines(), mimetype="text/csv")


@app.get("/sales")
def sales() -> Response:
    """Sum up the orders of each user."""
    group = {"$group": {"_id": "$user", "orders": {"$sum": 1}, "total": {"$sum": "$total"}}}
    found = shop.orders.aggregate([group, {"$sort": {"_id": 1}}])
    return jsonify([{"user": line["_id"], "orders": line["orders"], "total": str(line["total"])} for line in found])
