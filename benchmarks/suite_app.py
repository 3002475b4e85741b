"""The measured program: a test suite of a shop in one process. Prints its CPU seconds and its largest memory in MB.

usage: suite_app.py REQUESTS
"""

from __future__ import annotations

import io
import json
import os
import random
import resource
import string
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import gridfs
import jwt
from flask import Flask, abort, request
from flask.testing import FlaskClient
from pymongo import MongoClient
from werkzeug.security import check_password_hash, generate_password_hash

METHOD = "pbkdf2:sha256:1000"
KEY = "a key that only this program knows"


def code(length: int) -> str:
    """A code as many apps make one: a choice a character."""
    return "".join(random.choice(string.ascii_uppercase + string.digits) for _ in range(length))


def make_app(database: Any) -> Flask:
    """Users who sign up and log in, their orders, and what they upload."""
    app = Flask(__name__)
    files = gridfs.GridFS(database)

    def user() -> str:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        return str(jwt.decode(token, KEY, algorithms=["HS256"])["sub"])

    @app.post("/users/<name>")
    def sign_up(name: str) -> dict[str, str]:
        hashed = generate_password_hash(request.get_data(as_text=True), METHOD)
        database.users.insert_one({"_id": name, "hash": hashed, "at": datetime.now(UTC)})
        return {"id": name}

    @app.post("/login/<name>")
    def log_in(name: str) -> dict[str, str]:
        found = database.users.find_one({"_id": name})
        if found is None or not check_password_hash(found["hash"], request.get_data(as_text=True)):
            abort(401)
        now = datetime.now(UTC)
        claims = {"sub": name, "iat": now, "exp": now + timedelta(hours=1), "jti": uuid.uuid4().hex}
        return {"token": jwt.encode(claims, KEY, "HS256")}

    @app.post("/orders")
    def order() -> dict[str, str]:
        items = [{"code": code(12), "price": random.randint(1, 999)} for _ in range(8)]
        made = database.orders.insert_one({"user": user(), "items": items, "at": datetime.now(UTC)})
        return {"id": str(made.inserted_id), "voucher": code(24)}

    @app.get("/orders")
    def orders() -> dict[str, Any]:
        found = database.orders.find({"user": user()}, sort=[("_id", -1)], limit=5)
        return {"orders": [[str(one["_id"]), len(one["items"])] for one in found]}

    @app.post("/files/<name>")
    def upload(name: str) -> dict[str, str]:
        return {"id": str(files.put(request.get_data(), filename=name, user=user()))}

    return app


def run_test(client: FlaskClient, database: Any) -> None:
    """Ten requests of one user, and what the test itself puts into the database and finds there."""
    name, password = code(16).lower(), code(12)
    database.catalog.insert_many([{"sku": code(20), "stock": random.randrange(50)} for _ in range(10)])
    assert client.post(f"/users/{name}", data=password).status_code == 200
    assert client.post(f"/login/{name}", data="wrong").status_code == 401
    login = client.post(f"/login/{name}", data=password)
    headers = {"Authorization": f"Bearer {json.loads(login.data)['token']}"}
    for _ in range(3):
        assert client.post("/orders", headers=headers).status_code == 200
    for _ in range(3):
        assert client.get("/orders", headers=headers).status_code == 200
    content = io.BytesIO(code(200).encode())
    assert client.post(f"/files/{name}", data=content.read(), headers=headers).status_code == 200
    assert database.orders.count_documents({"user": name}) == 3


def main(requests: int) -> None:
    """Run the tests, then say what they cost. The resource module is not recorded, so a replay measures itself."""
    database = MongoClient(os.environ["MONGODB_URI"])[os.environ["DATABASE"]]  # type: ignore[var-annotated]  # any documents
    database.orders.create_index("user")
    client = make_app(database).test_client()
    for _ in range(requests // 10):
        run_test(client, database)
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.stderr.write(json.dumps({"cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
