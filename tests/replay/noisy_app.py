"""A Flask app whose answers differ from run to run in what no recording can give back: the process's id."""

from __future__ import annotations

import os
import sys
import uuid

from flask import Flask, Response, jsonify, request

app = Flask(__name__)
if os.environ.get("BROKEN"):
    sys.exit(3)


@app.get("/plain/<word>")
def plain(word: str) -> str:
    """Answer with the word; of a frail app, never with the third."""
    if os.environ.get("FRAIL") and word == "three":
        os._exit(7)
    return word.upper() if os.environ.get("CHANGED") else word


@app.get("/noisy")
def noisy() -> Response:
    """Answer with the process's id, in header and body."""
    response = jsonify(pid=f"p{os.getpid()}", kind="noisy", items=[{"at": f"p{os.getpid()}", "n": 1}])
    response.headers["X-Process"] = str(os.getpid())
    return response


@app.get("/text")
def text() -> str:
    """Answer with nothing but noise."""
    return f"process {os.getpid()}"


@app.get("/ticket")
def ticket() -> str:
    """Answer with an id; of a changed app, with another one behind it."""
    number = uuid.uuid4().hex
    return f"{number} {second()}" if os.environ.get("CHANGED") else number


def second() -> str:
    """Make up what the recording does not have."""
    return uuid.uuid4().hex


@app.get("/whoami")
def whoami() -> Response:
    """Answer with what the request said of itself."""
    return jsonify(authorization=request.headers.get("Authorization"), lane=request.headers.get("x-timetracer-lane"))
