"""Takes the payment of an order: a price from MongoDB, a charge over HTTP, a count in Redis.

Any broker, backend and servers: ``BROKER_URL``, ``RESULT_URL``, ``MONGODB_URI``, ``REDIS_URL``, ``PAYMENTS_URL``. With
none of them the broker is in the memory of the process; without ``REDIS_URL`` nothing is counted.
"""

from __future__ import annotations

import os
from typing import Any

import redis
import requests
from celery import Celery
from pymongo import MongoClient

app = Celery(
    "payments",
    broker=os.environ.get("BROKER_URL", "memory://"),
    backend=os.environ.get("RESULT_URL", "cache+memory://"),
)
orders = MongoClient[dict[str, Any]](os.environ["MONGODB_URI"])["timetracer_example_payments"].orders
counts = redis.Redis.from_url(os.environ["REDIS_URL"]) if "REDIS_URL" in os.environ else None


@app.task  # type: ignore[untyped-decorator] # Celery ships no types
def notify(order_id: int, total: int) -> str:
    """Tell the customer."""
    return f"order {order_id}: {total} paid"


@app.task  # type: ignore[untyped-decorator] # as above
def process_payment(order_id: int) -> dict[str, Any]:
    """Charge an order, and ask for a message to its customer.

    Raises:
        ValueError: the payment was refused.
    """
    order = orders.find_one({"_id": order_id})
    if order is None:
        raise LookupError(f"there is no order {order_id}")
    charge = {"order": str(order_id), "amount": order["total"]}
    key = {"Idempotency-Key": str(order_id)}
    answer = requests.post(f"{os.environ['PAYMENTS_URL']}/charges", json=charge, headers=key, timeout=10)
    if not answer.ok:
        raise ValueError(f"order {order_id} was refused: {answer.json()}")
    orders.update_one({"_id": order_id}, {"$set": {"paid": True}})
    if counts is not None:
        counts.incr("payments")
    notify.delay(order_id, order["total"])
    return {"order": order_id, "total": order["total"]}
