"""A members' shop over Flask, PyMongo and requests: log-in, hashed passwords, uploads to GridFS, a relayed stream."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import gridfs
import jwt
import requests
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from bson import ObjectId
from flask import Flask, Response, abort, g, jsonify, request
from pymongo import MongoClient

Document = dict[str, Any]

SECRET = "a secret of the members' shop, long enough"
BANK = os.environ.get("BANK_URL", "http://127.0.0.1:9")
shop = MongoClient[Document](os.environ["MONGODB_URI"]).timetracer_members_flask
files = gridfs.GridFS(shop)
argon2 = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)
app = Flask(__name__)


def hashed(password: str, scheme: str) -> str:
    """Hash a password with the scheme that the member chose."""
    if scheme == "bcrypt":
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return argon2.hash(password)


def fits(password: str, stored: str) -> bool:
    """Whether a password is the one that was hashed."""
    if stored.startswith("$2"):
        return bcrypt.checkpw(password.encode(), stored.encode())
    try:
        return argon2.verify(stored, password)
    except VerifyMismatchError:
        return False


@app.before_request
def know_the_member() -> None:
    """Take who asks from the token."""
    if request.endpoint in ("sign_up", "log_in"):
        return
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        abort(401, "no token")
    try:
        g.member = jwt.decode(token, SECRET, algorithms=["HS256"])["sub"]
    except jwt.ExpiredSignatureError:
        abort(401, "the token has expired")
    except jwt.InvalidTokenError:
        abort(401, "a bad token")


@app.post("/members")
def sign_up() -> tuple[Response, int]:
    """Store a member with a hash of the password."""
    asked = request.get_json()
    shop.members.insert_one({"_id": asked["name"], "hash": hashed(asked["password"], asked["scheme"])})
    return jsonify(name=asked["name"]), 201


@app.post("/tokens")
def log_in() -> Response:
    """Give a token for a name and a password."""
    asked = request.get_json()
    found = shop.members.find_one({"_id": asked["name"]})
    if found is None or not fits(asked["password"], found["hash"]):
        abort(401, "wrong name or password")
    now = datetime.now(UTC)
    claims = {"sub": asked["name"], "iat": now, "exp": now + timedelta(minutes=5), "jti": str(uuid.uuid4())}
    shop.tokens.insert_one({"member": asked["name"], "jti": claims["jti"], "at": now})
    return jsonify(token=jwt.encode(claims, SECRET, "HS256"))


@app.post("/orders")
def order() -> tuple[Response, int]:
    """Charge the member, store the order."""
    asked = request.get_json()
    charge = requests.post(
        f"{BANK}/charges",
        json={"member": g.member, "amount": asked["amount"]},
        headers={"Authorization": f"Bearer {jwt.encode({'sub': 'shop', 'iat': datetime.now(UTC)}, SECRET, 'HS256')}"},
        timeout=10,
    ).json()
    stored = shop.orders.insert_one({"member": g.member, "amount": asked["amount"], "charge": charge["id"]})
    return jsonify(id=str(stored.inserted_id), charge=charge["id"]), 201


@app.get("/orders")
def orders() -> Response:
    """List the member's orders: each member asks the same."""
    found = shop.orders.find({"member": g.member}).sort("_id")
    return jsonify([{"id": str(one["_id"]), "amount": one["amount"]} for one in found])


@app.post("/files")
def upload() -> tuple[Response, int]:
    """Keep a file."""
    sent = request.files["file"]
    key = files.put(sent.stream, filename=sent.filename, member=g.member, chunk_size=1000)
    return jsonify(id=str(key)), 201


@app.get("/files/<key>")
def download(key: str) -> Response:
    """Give a file back."""
    found = files.get(ObjectId(key))
    return Response(found.read(), headers={"X-Uploaded": found.upload_date.isoformat()})


@app.get("/statement")
def statement() -> Response:
    """Relay what the bank streams."""
    reply = requests.get(f"{BANK}/statement/{g.member}", stream=True, timeout=10)

    def pieces() -> Iterator[bytes]:
        with reply:
            yield from reply.iter_content(None)

    return Response(pieces(), status=reply.status_code, mimetype="text/plain")
