"""The measured program: a Flask app whose request makes 20 find_one of about 570 B. Prints what it measured as JSON.

usage: mongo_app.py REQUESTS
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from typing import Any

from flask import Flask
from pymongo import MongoClient

FINDS = 20


def make_app(collection: Any) -> Flask:
    """An app with one route that makes the finds."""
    app = Flask(__name__)

    @app.get("/work")
    def work() -> dict[str, int]:
        return {"found": sum(len(collection.find_one({"_id": number})["text"]) for number in range(FINDS))}

    return app


def call(app: Flask) -> None:
    """One request straight through WSGI, without a server's own costs."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/work",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": sys.stdin.buffer,
        "wsgi.errors": sys.stderr,
    }
    body = app(environ, lambda *_: lambda _data: None)
    if b"found" not in b"".join(body):
        raise SystemExit("the measured app did not answer")
    close = getattr(body, "close", None)
    if close is not None:
        close()


def main(requests: int) -> None:
    """Run the requests, measure CPU of a request and the latency of a find_one."""
    collection: Any = MongoClient(os.environ["MONGODB_URI"]).bench.items
    app = make_app(collection)
    for _ in range(20):
        call(app)
    cpu = time.process_time()
    wall = time.perf_counter()
    for _ in range(requests):
        call(app)
    cpu = (time.process_time() - cpu) / requests * 1e6
    wall = (time.perf_counter() - wall) / requests * 1e6
    finds = []
    for number in range(requests):
        start = time.perf_counter()
        collection.find_one({"_id": number % FINDS})
        finds.append(time.perf_counter() - start)
    result = {
        "find_us": statistics.median(finds) * 1e6,
        "cpu_us": cpu,
        "wall_us": wall,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]))
