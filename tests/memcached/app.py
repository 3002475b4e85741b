"""A Flask app that keeps what it makes in Memcached, by two clients, and in DiskCache."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

import pylibmc
from diskcache import Cache
from flask import Flask
from pymemcache import serde
from pymemcache.client.base import PooledClient

app = Flask(__name__)
host, port = os.environ["MEMCACHED"].split(":")
pages = PooledClient((host, int(port)), serde=serde.pickle_serde, ignore_exc=True)
counters = pylibmc.ClientPool(pylibmc.Client([os.environ["MEMCACHED"]]), 8)
files = Cache(os.environ["FILES"])
SECONDS = int(os.environ.get("SECONDS", "60"))


@app.get("/pages/<name>")
def page(name: str) -> dict[str, Any]:
    """Give a page, made only once, and the number of the visit."""
    found = pages.get(name)
    if found is None:
        found = {"id": uuid.uuid4().hex, "at": time.time()}
        pages.set(name, found, expire=SECONDS)
    with counters.reserve(block=True) as counter:
        counter.add("visits", 0)
        visit = counter.incr("visits")
    files.set(name, f"{found['id']} " * 2000, expire=60)
    return {**found, "visit": visit, "text": files.get(name)}
