"""A Flask app that gets a token for itself, as OAuth has it, and keeps it and a set of keys for all requests."""

from __future__ import annotations

import functools
import os
import time
from typing import Any

import requests
from flask import Flask

app = Flask(__name__)
api = os.environ["API"]
kept: dict[str, Any] = {"until": 0.0}


def token() -> str:
    """A token that lives for some seconds yet."""
    if kept["until"] < time.time():
        asked = {"grant_type": "client_credentials", "client_id": "shop", "client_secret": "of the shop"}
        told = requests.post(f"{api}/oauth/token", data=asked, timeout=10).json()
        kept.update(token=told["access_token"], until=time.time() + told["expires_in"])
    return str(kept["token"])


@functools.cache
def keys() -> int:
    """How many keys there are."""
    return len(requests.get(f"{api}/.well-known/jwks.json", timeout=10).json()["keys"])


@app.get("/item/<name>")
def show(name: str) -> dict[str, Any]:
    """What the other service says of a thing."""
    said = requests.get(f"{api}/items/{name}", headers={"Authorization": f"Bearer {token()}"}, timeout=10)
    return {"said": said.json(), "keys": keys()}
