"""The way of one find_one through our code: which functions it calls, in which files. Prints them as JSON.

usage: python -m benchmarks.mongo_way

Run it under ``opentelemetry-instrument`` with TIMETRACER_MODE, for one more find_one of a Flask request. It counts from
where the driver sends, the seam, until find_one returns. The opening of the lane and its end are not in it.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from types import FrameType
from typing import Any

from flask import Flask
from pymongo import MongoClient

import timetracer_otel
from benchmarks.mongo_app import call

OURS = os.path.dirname(timetracer_otel.__file__)  # noqa: PTH120 - compared with what code objects hold
BEFORE = 10
"""Calls of the same request that come first: what is made once a process, connection or lane is then there."""


def way(collection: Any) -> list[str]:
    """Give each call of a function of ours during one find_one, in order, as ``file:function``."""
    called: list[str] = []

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(OURS):
            called.append(f"{os.path.relpath(code.co_filename, OURS)}:{code.co_qualname}")

    sys.setprofile(profile)
    try:
        collection.find_one({"_id": BEFORE})
    finally:
        sys.setprofile(None)
    return called


def main() -> None:
    """Make the request, and print what was counted."""
    collection: Any = MongoClient(os.environ["MONGODB_URI"]).bench.items
    app = Flask(__name__)
    ways: list[list[str]] = []

    @app.get("/work")
    def work() -> dict[str, bool]:
        for number in range(BEFORE):
            collection.find_one({"_id": number})
        ways.append(way(collection))
        return {"found": True}

    for _ in range(2):
        call(app)
    whole = ways[-1]
    seam = next(number for number, one in enumerate(whole) if "sendall" in one)
    called = whole[seam:]
    files = Counter(one.partition(":")[0] for one in called)
    print(json.dumps({"calls": len(called), "files": dict(files), "way": called, "before": whole[:seam]}))


if __name__ == "__main__":
    main()
