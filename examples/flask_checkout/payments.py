"""The payment service: gone when the checkout is replayed."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, jsonify, request

app = Flask(__name__)
charges: dict[str, dict[str, Any]] = {}
LIMIT = 5000


@app.post("/charges")
def charge() -> tuple[Response, int]:
    """Charge a card: a random id each time; more than the limit is declined."""
    asked = request.get_json()
    if asked["amount"] > LIMIT:
        return jsonify(reason="over the limit"), 402
    made = {"id": str(uuid.uuid4()), **asked, "key": request.headers["Idempotency-Key"]}
    charges[made["id"]] = made
    reply = jsonify(made)
    reply.headers["ETag"] = f'"{uuid.uuid4().hex}"'
    reply.set_cookie("session", "s3")
    reply.set_cookie("region", "eu")
    return reply, 201


@app.get("/charges/<name>")
def show(name: str) -> tuple[Response, int]:
    """Show a charge."""
    return (jsonify(charges[name]), 200) if name in charges else (jsonify(reason="unknown"), 404)


@app.get("/receipts/<name>")
def receipt(name: str) -> Response:
    """Stream a receipt in pieces."""

    def lines() -> Iterator[str]:
        yield f"receipt of {name}\n"
        for number in range(1000):
            yield f"{number:04} thank you\n"

    return Response(lines(), mimetype="text/plain")
