"""Requests that hash passwords, in the order that is asked for: whichever comes first uses the library first.

usage: first_use.py NAME…
"""

from __future__ import annotations

import sys

import flask
from werkzeug.test import Client


def make_app() -> flask.Flask:
    """An app that imports its library in the request."""
    app = flask.Flask(__name__)

    @app.post("/users/<name>")
    def sign_up(name: str) -> str:
        from passlib.context import CryptContext  # noqa: PLC0415 - what is tested

        context = CryptContext(schemes=["sha512_crypt"], sha512_crypt__rounds=1000)
        flask.session["user"] = name
        return f"{name} {context.hash(name)}"

    app.secret_key = "not a secret"
    return app


if __name__ == "__main__":
    app = make_app()
    for name in sys.argv[1:]:
        got = Client(app).post(f"/users/{name}")
        print(got.get_data(as_text=True), got.headers["Set-Cookie"])  # noqa: T201 - it is a program
