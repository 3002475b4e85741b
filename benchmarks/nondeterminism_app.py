"""The measured program: the request of mongo_app.py that also draws ten times. Prints its CPU time in µs.

usage: nondeterminism_app.py REQUESTS
"""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from mongo_app import FINDS, call
from pymongo import MongoClient


def make_app(collection: Any) -> Flask:
    """An app with one route that makes the finds and draws."""
    app = Flask(__name__)

    @app.get("/work")
    def work() -> dict[str, str]:
        start = time.perf_counter()
        found = sum(len(collection.find_one({"_id": number})["text"]) for number in range(FINDS))
        return {
            "found": str(found),
            "id": str(uuid.uuid4()),
            "trace": uuid.uuid4().hex,
            "token": secrets.token_urlsafe(),
            "price": str(random.random()),
            "item": random.choice("abcdefgh"),
            "at": datetime.now(UTC).isoformat(),
            "day": str(datetime.now(UTC).date()),
            "time": str(time.time()),
            "took": str(time.perf_counter() - start),
        }

    return app


def main(requests: int) -> None:
    """Run the requests, measure the CPU of one."""
    app = make_app(MongoClient(os.environ["MONGODB_URI"]).bench.items)
    for _ in range(30):
        call(app)
    cpu = time.process_time()
    for _ in range(requests):
        call(app)
    print((time.process_time() - cpu) / requests * 1e6)


if __name__ == "__main__":
    main(int(sys.argv[1]))
