"""The measured program: a test suite of a REST API in one process. Prints its CPU seconds and its largest memory in MB.

usage: suite_app.py REQUESTS

It is modelled on the suite of Eve 2.1 (a REST framework on Flask and PyMongo), which was measured for it: 5,150
requests in 818 tests take 14 ms of CPU a request and draw 1,900 values a request, nearly all in what prepares a test.
There each test builds its app with all its rules anew, makes new clients of the database, drops that, and fills it with
a hundred documents whose codes are made by ``random.choice`` a character (12,000 of them), 17 kB in the largest insert;
then come six requests, with two or three calls each. Here it is the same per test, so that no part of the work that
recording adds to is rarer, in relation, than it is there; besides, users log in and upload files.
"""

from __future__ import annotations

import json
import os
import random
import resource
import string
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import gridfs
import jwt
from flask import Flask, abort, request
from pymongo import MongoClient
from werkzeug.security import check_password_hash, generate_password_hash

METHOD = "pbkdf2:sha256:1000"
KEY = "a key that only this program knows, and that is long enough for it"
REQUESTS = 6
"""Of one test."""
RESOURCES = 24
"""Of one app, each with six rules."""
CONTACTS = 100
"""Documents that prepare a test."""

Document = dict[str, Any]
SCHEMA: Mapping[str, Any] = {
    "ref": {"type": str, "size": 25},
    "prog": {"type": int},
    "role": {"type": str, "allowed": ("agent", "client", "vendor")},
    "rows": {"type": list, "schema": {"sku": {"type": str, "size": 24}, "price": {"type": int}}},
    "location": {"type": dict, "schema": {"address": {"type": str}, "city": {"type": str}}},
    "born": {"type": str},
}


def code(length: int, of: str = string.ascii_uppercase) -> str:
    """A code as many suites make one: a choice a character."""
    return "".join(random.choice(of) for _ in range(length))


def contact(number: int) -> Document:
    """A random document with rows in it."""
    return {
        "ref": code(25),
        "prog": number,
        "role": random.choice(("agent", "client", "vendor")),
        "rows": [{"sku": code(24, string.hexdigits[:16]), "price": random.randint(1, 999)} for _ in range(number % 8)],
        "location": {"address": f"address {code(5)}", "city": f"city {code(3)}"},
        "born": datetime.now(UTC).isoformat(),
    }


def errors_in(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """What is wrong in a document."""
    found = [f"{name}: unknown" for name in document if name not in schema]
    for name, rule in schema.items():
        value = document.get(name)
        if not isinstance(value, rule["type"]):
            found.append(f"{name}: of another type")
        elif "size" in rule and len(value) != rule["size"]:
            found.append(f"{name}: of another length")
        elif "allowed" in rule and value not in rule["allowed"]:
            found.append(f"{name}: not allowed")
        elif "schema" in rule:
            for inner in value if isinstance(value, list) else [value]:
                found += [f"{name}.{error}" for error in errors_in(inner, rule["schema"])]
    return found


def add_resources(app: Flask, views: Mapping[str, Any]) -> None:
    """Give an app the rules of all its resources, as frameworks do from their settings."""
    for number in range(RESOURCES):
        name = "contacts" if not number else f"contacts{number}"
        at, one = f"/{name}", f"/{name}/<string:ref>"
        for rule, method, view in (
            (at, "GET", views["read"]), (at, "POST", views["create"]), (one, "GET", views["read_one"]),
            (one, "PUT", views["read_one"]), (one, "PATCH", views["read_one"]), (one, "DELETE", views["read_one"]),
        ):  # fmt: skip
            endpoint = f"{name}|{method}|{rule.count('/')}"
            app.add_url_rule(rule, endpoint, view, defaults={"name": name}, methods=[method])


def make_app(database: Any) -> Flask:
    """Resources with their rules, users who log in, and what they upload."""
    app = Flask(__name__)
    files = gridfs.GridFS(database)

    def user() -> str:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return str(jwt.decode(token, KEY, algorithms=["HS256"])["sub"])

    def read(name: str) -> Document:
        page = int(request.args.get("page", "1"))
        wanted = {"role": request.args["role"]} if "role" in request.args else {}
        found = list(database[name].find(wanted, sort=[("_id", 1)], skip=25 * (page - 1), limit=25))
        total = database[name].count_documents(wanted)
        return {"items": [{**one, "_id": str(one["_id"])} for one in found], "total": total, "for": user()}

    def read_one(name: str, ref: str) -> Document:
        found = database[name].find_one({"ref": ref}) or abort(404)
        return {**found, "_id": str(found["_id"])}

    def create(name: str) -> Document:
        document = request.get_json()
        errors = errors_in(document, SCHEMA)
        if errors:
            abort(422)
        document |= {"created": datetime.now(UTC), "etag": uuid.uuid4().hex, "by": user()}
        return {"id": str(database[name].insert_one(document).inserted_id), "etag": document["etag"]}

    add_resources(app, {"read": read, "read_one": read_one, "create": create})

    @app.post("/login/<name>")
    def log_in(name: str) -> dict[str, str]:
        found = database.users.find_one({"_id": name})
        if found is None or not check_password_hash(found["hash"], request.get_data(as_text=True)):
            abort(401)
        now = datetime.now(UTC)
        claims = {"sub": name, "iat": now, "exp": now + timedelta(hours=1), "jti": uuid.uuid4().hex}
        return {"token": jwt.encode(claims, KEY, "HS256")}

    @app.post("/files/<name>")
    def upload(name: str) -> dict[str, str]:
        return {"id": str(files.put(request.get_data(), filename=name, user=user()))}

    return app


def run_test() -> None:
    """One test: its database, its app, six requests."""
    client: MongoClient[Document] = MongoClient(os.environ["MONGODB_URI"])
    client.drop_database(os.environ["DATABASE"])
    database = client[os.environ["DATABASE"]]
    name, password = code(16).lower(), code(12)
    database.users.insert_one({"_id": name, "hash": generate_password_hash(password, METHOD)})
    contacts = [contact(number) for number in range(CONTACTS)]
    database.contacts.insert_many(contacts)
    for other in ("invoices", "payments", "products"):
        database[other].insert_many([{"number": code(10), "at": datetime.now(UTC)} for _ in range(10)])
    web = make_app(database).test_client()
    assert web.post(f"/login/{name}", data="wrong").status_code == 401
    headers = {"Authorization": f"Bearer {json.loads(web.post(f'/login/{name}', data=password).data)['token']}"}
    assert len(web.get("/contacts?page=2", headers=headers).get_json()["items"]) == 25
    assert web.get(f"/contacts/{contacts[7]['ref']}", headers=headers).get_json()["prog"] == 7
    assert web.post("/contacts", json=contact(9), headers=headers).status_code == 200
    assert web.post(f"/files/{name}", data=code(200), headers=headers).status_code == 200
    client.drop_database(os.environ["DATABASE"])
    client.close()


def main(requests: int) -> None:
    """Run the tests, then say what they cost. The resource module is not recorded, so a replay measures itself."""
    for _ in range(requests // REQUESTS):
        run_test()
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.stderr.write(json.dumps({"cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
