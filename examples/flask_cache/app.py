"""A catalogue: Flask and PyMongo, with Redis for what is asked often. It knows nothing of timetracer."""

from __future__ import annotations

import json
import os
import uuid
from typing import Any

import redis
from flask import Flask, Response, jsonify, request
from pymongo import MongoClient
from werkzeug.exceptions import Conflict, NotFound

Document = dict[str, Any]

SECONDS = 60
catalogue = MongoClient[Document](os.environ.get("MONGODB_URI", "mongodb://localhost:27017/")).timetracer_example_cache
cache = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), decode_responses=True)
app = Flask(__name__)


@app.put("/products/<name>")
def store(name: str) -> tuple[Response, int]:
    """Store a product, and forget what is kept of it."""
    product = {"price": request.get_json()["price"], "version": uuid.uuid4().hex}
    catalogue.products.replace_one({"_id": name}, product, upsert=True)
    cache.delete(f"product:{name}")
    return jsonify(name=name, **product), 201


@app.get("/products/<name>")
def show(name: str) -> Response:
    """Show a product, from the cache if it is there, and count how often it was looked at today."""
    kept = cache.get(f"product:{name}")
    if kept is None:
        found = catalogue.products.find_one({"_id": name})
        if found is None:
            raise NotFound(f"there is no product {name}")
        kept = json.dumps({"name": name, "price": found["price"], "version": found["version"]})
        cache.set(f"product:{name}", kept, ex=SECONDS)
        was_kept = False
    else:
        was_kept = True
    with cache.pipeline() as pipe:
        pipe.incr(f"views:{name}")
        pipe.expire(f"views:{name}", 24 * 3600)
        views, _ = pipe.execute()
    return jsonify(**json.loads(kept), views=views, kept=was_kept)


@app.post("/orders")
def order() -> tuple[Response, int]:
    """Take an order; one of a product at a time."""
    asked = request.get_json()
    with cache.lock(f"lock:{asked['product']}", timeout=5):
        number = cache.incr("orders")
        taken = catalogue.stock.update_one({"_id": asked["product"], "left": {"$gte": 1}}, {"$inc": {"left": -1}})
        if taken.modified_count == 0:
            raise Conflict(f"no {asked['product']} is left")
        catalogue.orders.insert_one({"_id": number, **asked})
    return jsonify(number=number, product=asked["product"]), 201


@app.put("/stock/<name>")
def fill(name: str) -> tuple[str, int]:
    """Say how many there are."""
    catalogue.stock.replace_one({"_id": name}, {"left": request.get_json()["left"]}, upsert=True)
    return "", 204


@app.get("/most-viewed")
def most_viewed() -> Response:
    """List products by their views."""
    names = [key.removeprefix("views:") for key in cache.scan_iter("views:*")]
    views = cache.mget([f"views:{name}" for name in names]) if names else []
    counted = [(name, int(count or 0)) for name, count in zip(names, views, strict=True)]
    counted.sort(key=lambda one: (-one[1], one[0]))
    return jsonify([{"name": name, "views": count} for name, count in counted])
