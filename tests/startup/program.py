"""A program that serves one request to itself and makes one call outside of it; run by the tests as a real process."""

import os
import sys
from typing import Any

from flask import Flask
from pymongo import MongoClient

collection: Any = MongoClient(os.environ["MONGODB_URI"]).startup.items
collection.find_one({"_id": "outside"})
app = Flask(__name__)


@app.get("/items/<name>")
def item(name: str) -> dict[str, object]:
    """Look one up."""
    return {"found": collection.find_one({"_id": name})}


if __name__ == "__main__":
    sys.stdout.write(app.test_client().get("/items/inside").get_data(as_text=True))
