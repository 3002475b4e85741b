"""A Flask app with a cache and a counter on Redis."""

from __future__ import annotations

import os
import uuid
from typing import Any

import redis
from flask import Flask

app = Flask(__name__)
store = redis.Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
SECONDS = int(os.environ.get("SECONDS", "60"))


@app.post("/carts/<name>")
def fill(name: str) -> dict[str, Any]:
    """Put something into a cart, under a lock."""
    with store.lock(f"lock:{name}", timeout=5):
        count = store.hincrby(f"cart:{name}", "tea", 1)
        store.set(f"token:{name}", uuid.uuid4().hex, ex=SECONDS)
    if os.environ.get("EXTRA"):
        store.delete("all")
    return {"count": count, "token": store.get(f"token:{name}")}


@app.get("/visits")
def visits() -> dict[str, Any]:
    """Count a visit: each gets its own number."""
    with store.pipeline() as pipe:
        pipe.incr("visits")
        pipe.expire("visits", 60)
        number, _ = pipe.execute()
    return {"number": number}
