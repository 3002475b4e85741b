"""A Flask app whose responses do not end as they should."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import requests
from flask import Flask, Response, request

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1000
WORD = os.environ.get("WORD", "tick")


@app.get("/endless")
def endless() -> Response:
    """Say a word for ever."""

    def words() -> Iterator[str]:
        number = 0
        while True:
            yield f"{WORD} {number};"
            number += 1
            time.sleep(0.05)

    return Response(words())


@app.get("/breaks")
def breaks() -> Response:
    """Say a part, then fail; of a mended app, end."""

    def words() -> Iterator[str]:
        yield WORD
        if "MENDED" not in os.environ:
            raise RuntimeError("in the middle")

    return Response(words())


@app.post("/upload")
def upload() -> str:
    """Read what is not too large."""
    return str(len(request.get_data()))


@app.get("/relay")
def relay() -> Response:
    """Pass on what an endless peer says."""

    def pieces() -> Iterator[bytes]:
        with requests.get(os.environ["PEER"], stream=True, timeout=20) as response:
            yield from response.iter_content(None)

    return Response(pieces())
