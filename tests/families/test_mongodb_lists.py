"""Lists in MongoDB commands whose order means nothing to the server, and those where it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId

from tests.families.test_mongodb import describe, wire
from timetracer_otel.families.mongodb import report

ITEMS: dict[str, list[Any]] = {
    "ids": [ObjectId(bytes([n]) * 12) for n in (7, 3, 9, 200)],
    "texts": ["pear", "apple", "fig", "a longer one"],
    "ids and texts": ["pear", ObjectId(bytes([7]) * 12), 3, ObjectId(bytes([2]) * 12)],
    "eleven numbers": [*range(11, 0, -1)],
    "documents": [{"a": ObjectId(bytes([n]) * 12), "b": n} for n in (2, 1)],
}
ANY_ORDER: dict[str, Callable[[list[Any]], Any]] = {
    "$in of a find": lambda items: ({"find": "c", "filter": {"_id": {"$in": items}, "x": 1}},),
    "$in within $or": lambda items: ({"find": "c", "filter": {"$or": [{"a": {"$in": items}}, {"b": 1}]}},),
    "$nin of a count": lambda items: ({"count": "c", "query": {"a": {"$not": {"$nin": items}}}},),
    "$all of a distinct": lambda items: ({"distinct": "c", "key": "k", "query": {"tags": {"$all": items}}},),
    "$match": lambda items: ({"aggregate": "c", "pipeline": [{"$match": {"a": {"$in": items}}}, {"$limit": 5}]},),
    "$match of $lookup": lambda items: (
        {"aggregate": "c", "pipeline": [{"$lookup": {"pipeline": [{"$match": {"a": {"$in": items}}}]}}]},
    ),
    "$in of an expression": lambda items: (
        {"aggregate": "c", "pipeline": [{"$project": {"has": {"$in": ["$a", items]}}}]},
    ),
    "$expr": lambda items: ({"find": "c", "filter": {"$expr": {"$in": ["$a", items]}}},),
    "explain": lambda items: ({"explain": {"find": "c", "filter": {"a": {"$in": items}}, "batchSize": 1}},),
    "query of a delete": lambda items: ({"delete": "c"}, ("deletes", [{"q": {"a": {"$in": items}}, "limit": 0}])),
    "query of an update": lambda items: (
        {"update": "c"},
        ("updates", [{"q": {"a": 1}, "u": {"$set": {"x": 1}}}, {"q": {"a": {"$in": items}}, "u": {"$set": {"x": 1}}}]),
    ),
    "$pullAll": lambda items: ({"update": "c"}, ("updates", [{"q": {}, "u": {"$pullAll": {"tags": items}}}])),
    "$pull": lambda items: ({"findAndModify": "c", "query": {}, "update": {"$pull": {"tags": {"$in": items}}}},),
    "arrayFilters": lambda items: (
        {"update": "c"},
        ("updates", [{"q": {}, "u": {"$set": {"a.$[e]": 1}}, "arrayFilters": [{"e": {"$in": items}}]}]),
    ),
}
ORDERED: dict[str, Callable[[list[Any]], Any]] = {
    "a stored list": lambda items: ({"insert": "c"}, ("documents", [{"_id": 1, "$in": items}])),
    "a list that is set": lambda items: ({"update": "c"}, ("updates", [{"q": {}, "u": {"$set": {"a": items}}}])),
    "$push": lambda items: ({"update": "c"}, ("updates", [{"q": {}, "u": {"$push": {"a": {"$each": items}}}}])),
    "equality": lambda items: ({"find": "c", "filter": {"a": items, "b": {"$eq": {"$in": items}}}},),
    "a list within $in": lambda items: ({"find": "c", "filter": {"a": {"$in": [1, items]}}},),
    "$concatArrays": lambda items: ({"aggregate": "c", "pipeline": [{"$project": {"x": {"$concatArrays": items}}}]},),
    "$literal": lambda items: (
        {"aggregate": "c", "pipeline": [{"$project": {"x": {"$literal": {"$in": ["$a", items]}}}}]},
    ),
    "operands of an expression's $in": lambda items: (
        {"aggregate": "c", "pipeline": [{"$project": {"has": {"$in": [items[0], items[1]]}}}]},
    ),
}


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS.keys())
@pytest.mark.parametrize("place", ANY_ORDER.values(), ids=ANY_ORDER.keys())
def test_order_means_nothing(place: Callable[[list[Any]], Any], items: list[Any]) -> None:
    """In any order it is the same call, has the same hash, and is shown alike; with another item it is another call."""
    one, other = describe(*place(items)), describe(*place(items[::-1]))
    assert one == other
    assert hash(one) == hash(other)
    assert one.identity == other.identity
    shown = [report.render(wire(*place(way)), None) for way in (items, items[::-1])]
    assert shown[0] == shown[1]
    for changed in (items[:-1], [*items, items[0]], [*items[:-1], 99]):
        assert describe(*place(changed)) != one


@pytest.mark.parametrize("items", [ITEMS["ids"], ITEMS["texts"]], ids=["ids", "texts"])
@pytest.mark.parametrize("place", ORDERED.values(), ids=ORDERED.keys())
def test_order_counts(place: Callable[[list[Any]], Any], items: list[Any]) -> None:
    """Where a list is data, or its items have places, another order is another call."""
    assert describe(*place(items)) != describe(*place(items[::-1]))
