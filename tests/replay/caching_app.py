"""A Flask app that keeps what it has read for all requests of its process."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

from flask import Flask
from pymongo import MongoClient

app = Flask(__name__)
prices: Any = MongoClient[dict[str, Any]](os.environ["MONGODB_URI"]).caching.prices


def read(item: str) -> dict[str, Any]:
    """What a thing costs, which takes a while."""
    time.sleep(0.02)
    return prices.find_one({"_id": item}) or {}


price = read if "UNCACHED" in os.environ else functools.cache(read)


@app.get("/price/<item>")
def show(item: str) -> dict[str, Any]:
    """The price."""
    return price(item)
