"""A program that serves one request to itself and makes one call outside of it; run by the tests as a real process."""

import os

from flask import Flask
from pymongo import MongoClient

collection = MongoClient(os.environ["MONGODB_URI"]).startup.items
collection.find_one({"_id": "outside"})
app = Flask(__name__)


@app.get("/items/<name>")
def item(name: str) -> dict[str, object]:
    return {"found": collection.find_one({"_id": name})}


if __name__ == "__main__":
    print(app.test_client().get("/items/inside").get_data(as_text=True).strip())
