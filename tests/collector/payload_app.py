"""An app whose requests carry payloads of any size, in both directions and to the database."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, request
from pymongo import MongoClient

app = Flask(__name__)
blobs = MongoClient[dict[str, Any]](os.environ["MONGODB_URI"]).timetracer_tests_collector.blobs


@app.post("/echo")
def echo() -> Response:
    """Answer with the body."""
    return Response(request.get_data(), mimetype="application/octet-stream")


@app.get("/text/<int:size>")
def text(size: int) -> str:
    """Answer with text of two bytes a character."""
    return "é" * (size // 2)


@app.post("/blob/<name>")
def store(name: str) -> str:
    """Store the body in the database, and read it back."""
    blobs.replace_one({"_id": name}, {"_id": name, "blob": request.get_data()}, upsert=True)
    found = blobs.find_one({"_id": name})
    return str(len(found["blob"]) if found else 0)


@app.get("/fail")
def fail() -> str:
    """Fail."""
    raise RuntimeError("on purpose")
