"""Programs that ask for sets: their order is another one in each process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pymongo.harness import ELSEWHERE
from tests.support.commands import OTEL, REPLAY
from tests.support.mongo import MongoServer

DRIVER = """
import os
from pymongo import MongoClient

shop = MongoClient(os.environ["MONGODB_URI"]).shop
names = {f"item {n}" for n in range(12)}
ids = set(shop.items.insert_many([{"name": name} for name in sorted(names)]).inserted_ids)
print(shop.items.count_documents({"_id": {"$in": list(ids)}, "name": {"$in": list(names)}}))
print(sorted(one["name"] for one in shop.items.find({"name": {"$nin": list(names - {"item 3"})}})))
print(shop.items.update_many({"_id": {"$in": list(ids)}}, {"$pullAll": {"tags": list(names)}}).matched_count)
print(len(list(shop.items.aggregate([{"$match": {"_id": {"$in": list(ids)}}}]))))
"""
MONGOENGINE = """
import os
from mongoengine import Document, ListField, ReferenceField, StringField, connect

connect("shop", host=os.environ["MONGODB_URI"], uuidRepresentation="standard")


class Tag(Document):
    name = StringField(primary_key=True)


class Author(Document):
    name = StringField()


class Book(Document):
    tags = ListField(ReferenceField(Tag))
    authors = ListField(ReferenceField(Author))


tags = [Tag(name=f"tag {n}").save() for n in range(9)]
authors = [Author(name=f"author {n}").save() for n in range(9)]
Book(tags=tags, authors=authors).save()
book = Book.objects.first().select_related()
print([tag.name for tag in book.tags], [author.name for author in book.authors])
"""


def run(command: list[str], uri: str, seed: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command under a seed of hashes."""
    env = {**os.environ, "MONGODB_URI": uri, "PYTHONHASHSEED": seed, "TIMETRACER_DIR": str(folder)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)


def verified(program: str, server: MongoServer, folder: Path) -> None:
    """Record a program under one seed; it verifies under others with the database gone."""
    file = folder / "program.py"
    file.write_text(program, encoding="utf-8")
    recorded = run([*OTEL, "--traces_exporter", "timetracer", sys.executable, str(file)], server.uri, "1", folder)
    assert recorded.returncode == 0, recorded.stderr
    assert recorded.stdout
    server.stop()
    for seed in ("2", "3"):
        # Under env: the replay itself would give the program the seed that it was recorded with.
        program_of_seed = ["env", f"PYTHONHASHSEED={seed}", sys.executable, str(file)]
        again = run([*REPLAY, "--verify", str(folder), "--", *program_of_seed], ELSEWHERE, seed, folder)
        assert again.returncode == 0, again.stdout + again.stderr


@pytest.mark.system
def test_sets_of_ids_and_texts(mongo_server: MongoServer, tmp_path: Path) -> None:
    """A program that puts sets into its queries verifies in every process."""
    verified(DRIVER, mongo_server, tmp_path)


@pytest.mark.system
def test_mongoengine_follows_references(mongo_server: MongoServer, tmp_path: Path) -> None:
    """What mongoengine looks up for lists of references it asks for as sets."""
    verified(MONGOENGINE, mongo_server, tmp_path)
