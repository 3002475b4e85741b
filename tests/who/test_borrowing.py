"""A read of another request answers only where nothing has to be guessed."""

from __future__ import annotations

from typing import Any

import bson
import pytest

from tests.cli.conftest import op_msg
from timetracer_otel.families.http.description import describe as describe_http
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.families.mongodb import answers, family, wire
from timetracer_otel.replay.answering.borrowing import Lending, Seen
from timetracer_otel.seams import Description

FIND = {"find": "users", "filter": {"_id": "ann"}, "$db": "shop"}


def mongo(command: dict[str, Any]) -> Description:
    """A command's description."""
    return family.describe(wire.parse_message(op_msg(command)))


def http(method: str, path: str) -> Description:
    """A request's description."""
    return describe_http(Sent(method, "https://api.example" + path, []))


class Recorded:
    """Calls in order, a lane and ten nanoseconds each."""

    def __init__(self) -> None:
        self.calls: list[Seen] = []

    def add(self, description: Description, answer: bytes = b"same", *, session: bool = False) -> Recorded:
        """Add a call."""
        number = len(self.calls) + 1
        start = number * 100
        self.calls.append(Seen(f"lane-{number}", f"span-{number}", description, start, start + 10, answer, not session))
        return self

    def lends(self, asked: Description, at: int) -> str | None:
        """The lane that answers."""
        found = Lending(self.calls).lender(asked, at)
        return None if found is None else found.lane


def test_what_all_were_told_is_lent() -> None:
    """By the nearest; of the lane's own first call too; nothing is lent that nobody asked."""
    recorded = Recorded().add(mongo(FIND)).add(mongo(FIND)).add(mongo(FIND))
    assert [recorded.lends(mongo(FIND), at) for at in (0, 150, 999)] == ["lane-1", "lane-1", "lane-3"]
    assert recorded.lends(mongo({**FIND, "filter": {}}), 150) is None
    assert Lending(recorded.calls).why_not(mongo({**FIND, "filter": {}})) == ""


@pytest.mark.parametrize("other", [b"another", b""])
def test_where_answers_differ_nobody_lends(other: bytes) -> None:
    """Nor where one failed; the miss names the candidates."""
    recorded = Recorded().add(mongo(FIND)).add(mongo(FIND), other)
    assert recorded.lends(mongo(FIND), 150) is None
    told = Lending(recorded.calls).why_not(mongo(FIND))
    assert "span-1 of lane lane-1" in told
    assert "span-2 of lane lane-2" in told
    assert "not all answered alike" in told


INDEX = {"createIndexes": "users", "indexes": [{"key": {"email": 1}, "name": "email_1"}], "$db": "shop"}


def test_an_index_is_made_by_whoever_needs_it_first() -> None:
    """Whether it was there before is chance, and no document changes; one that could not be made is lent to none."""
    made = bson.encode({"numIndexesBefore": 1, "numIndexesAfter": 2, "createdCollectionAutomatically": True, "ok": 1.0})
    there = bson.encode({"numIndexesBefore": 2, "numIndexesAfter": 2, "note": "all indexes already exist", "ok": 1.0})
    refused = bson.encode({"ok": 0.0, "code": 85, "errmsg": "exists with other options"})
    first, second, failed = (
        answers.digest(reply, unique) for reply, unique in ((made, "a"), (there, "b"), (refused, "c"))
    )
    index, write = mongo(INDEX), mongo({"insert": "users", "documents": [], "$db": "shop"})
    assert index.settles
    assert Recorded().add(index, first).add(write).add(index, second).lends(index, 150) == "lane-1"
    assert Recorded().add(index, first).add(index, failed).lends(index, 150) is None
    assert Recorded().add(mongo(FIND)).add(index, first).add(mongo(FIND)).lends(mongo(FIND), 250) == "lane-1"


WRITES = [
    {"insert": "users", "documents": [], "$db": "shop"},
    {"dropDatabase": 1, "$db": "shop"},
    {"renameCollection": "shop.users", "to": "shop.old", "$db": "admin"},
    {"aggregate": "orders", "pipeline": [{"$out": "users"}], "cursor": {}, "$db": "shop"},
    {"bulkWrite": 1, "ops": [], "nsInfo": [{"ns": "shop.users"}], "$db": "admin"},
]
HARMLESS = [
    {"insert": "orders", "documents": [], "$db": "shop"},
    {"insert": "users", "documents": [], "$db": "shop2"},
    {"killCursors": "users", "cursors": [], "$db": "shop"},
    {"endSessions": [], "$db": "admin"},
]


@pytest.mark.parametrize("write", WRITES, ids=lambda write: next(iter(write)))
def test_a_write_between_parts(write: dict[str, Any]) -> None:
    """Whichever comes first in the recording; what lies on one side of both does not."""
    recorded = Recorded().add(mongo(FIND)).add(mongo(write))
    assert recorded.lends(mongo(FIND), 900) is None
    assert recorded.lends(mongo(FIND), 150) == "lane-1"
    assert "write to the same address" in Lending(recorded.calls).why_not(mongo(FIND))
    later = Recorded().add(mongo(write)).add(mongo(FIND))
    assert later.lends(mongo(FIND), 0) is None
    assert later.lends(mongo(FIND), 150) == "lane-2"
    of_session = Recorded().add(mongo(FIND)).add(mongo(write), session=True)
    assert of_session.lends(mongo(FIND), 900) is None


@pytest.mark.parametrize("call", HARMLESS, ids=lambda call: next(iter(call)))
def test_what_concerns_other_data_does_not_part(call: dict[str, Any]) -> None:
    """Another collection, another database, what touches no data."""
    assert Recorded().add(mongo(FIND)).add(mongo(call)).lends(mongo(FIND), 900) == "lane-1"


def test_a_join_reads_the_whole_database() -> None:
    """What an aggregation looks up may be in any of its collections."""
    joined = {"aggregate": "users", "pipeline": [{"$lookup": {"from": "orders"}}], "cursor": {}, "$db": "shop"}
    write = {"insert": "orders", "documents": [], "$db": "shop"}
    assert Recorded().add(mongo(joined)).add(mongo(write)).lends(mongo(joined), 900) is None


@pytest.mark.parametrize(
    ("method", "path", "lent"),
    [
        ("PUT", "/users/7", False),
        ("DELETE", "/users", False),
        ("POST", "/users/7/name", False),
        ("POST", "/users/77", True),
        ("POST", "/", True),
        ("HEAD", "/users/7", True),
    ],
)
def test_writes_over_http(method: str, path: str, *, lent: bool) -> None:
    """To the same path, to what is above and below it."""
    recorded = Recorded().add(http("GET", "/users/7")).add(http(method, path))
    assert recorded.lends(http("GET", "/users/7"), 900) == ("lane-1" if lent else None)


def test_replies_are_compared_without_what_is_new_each_time() -> None:
    """Cluster time does not count; the documents do, and a cursor that goes on is like no other."""

    def digest(unique: str, documents: list[Any], cursor: int = 0, **more: Any) -> bytes:
        reply = {"cursor": {"firstBatch": documents, "id": bson.Int64(cursor), "ns": "shop.users"}, "ok": 1.0, **more}
        return answers.digest(bson.encode(reply), unique)

    assert digest("a", [1], operationTime=bson.Timestamp(1, 1)) == digest("b", [1], operationTime=bson.Timestamp(2, 1))
    assert digest("a", [1]) != digest("b", [2])
    assert digest("a", [1], cursor=5) != digest("b", [1], cursor=5)


def read(lane: str, process: str, began: int, over: int) -> Seen:
    """The same question of a lane."""
    return Seen(
        lane, f"span-{lane}", mongo(FIND), began, over, b"same", lends=True, process=process, lasted=(began, over)
    )


def test_what_was_first_of_its_process_has_others_beside_it() -> None:
    """Each process asks what it keeps, and so do requests at once; one behind another asks because it wants to."""
    lending = Lending([read("a", "p", 0, 10), read("b", "p", 5, 20), read("c", "p", 30, 40), read("d", "q", 50, 60)])

    def beside(lane: str) -> list[str]:
        return [one.lane for one in lending.beside_first(f"span-{lane}", mongo(FIND))]

    assert beside("a") == ["b", "c", "d"]
    assert beside("b") == ["a", "c", "d"]
    assert beside("c") == []
    assert beside("d") == ["a", "b", "c"]
    assert lending.beside_first("span-of-nobody", mongo(FIND)) == []
