"""A web app that asks for tasks."""

from __future__ import annotations

from typing import Any

from flask import Flask
from orders import CHANGED, add  # type: ignore[import-not-found] # it is beside this file, where the tests start it

app = Flask(__name__)


@app.post("/orders/<int:number>")
def order(number: int) -> dict[str, Any]:
    """Ask for a task; with another argument, when the app is changed."""
    return {"id": add.delay(number, 2 if CHANGED == "web" else 1).id}
