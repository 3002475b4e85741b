"""Comparing JSON-like values, responses and calls, without any process."""

from __future__ import annotations

import gzip
import json
from email.utils import formatdate
from typing import Any

import orjson
import pybase64
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timetracer_otel.replay.answering.matching import first_difference
from timetracer_otel.replay.comparing.calls import LaneNotes, Notes, compare_calls
from timetracer_otel.replay.comparing.responses import ComparedResponse, compare_headers, compare_response
from timetracer_otel.replay.comparing.values import ABSENT, differences, orders, pairs_by_likeness

# Adding zero makes -0.0, which equals 0.0 and is written otherwise, 0.0.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False).map(lambda number: number + 0.0) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


def token(claims: dict[str, Any], signature: str) -> str:
    """Make a JSON Web Token."""
    parts = [pybase64.urlsafe_b64encode(orjson.dumps(part)).decode().rstrip("=") for part in ({"alg": "HS256"}, claims)]
    return ".".join([*parts, signature])


def told(recorded: object, live: object) -> list[tuple[str, object, object]]:
    """Give the differences as tuples."""
    return [(one.path, one.recorded, one.live) for one in differences(recorded, live)]


unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no fault of what is tested."""


@unhurried
@given(JSON)
def test_equal_values_do_not_differ(value: Any) -> None:
    """A value read twice is the same, whatever the order of its members."""
    assert told(value, json.loads(json.dumps(value, sort_keys=True))) == []


@unhurried
@given(JSON, JSON)
def test_different_values_differ(one: Any, other: Any) -> None:
    """There is a difference if and only if the two are written differently."""
    written = [json.dumps(value, sort_keys=True) for value in (one, other)]
    assert bool(told(one, other)) == (written[0] != written[1])


def test_long_texts_are_shown_from_where_they_part() -> None:
    """Of two statements with a hundred columns and another limit the limit is seen, in reports and misses."""
    columns = "SELECT " + ", ".join(f"column_{number}" for number in range(100))
    (difference,) = differences({"sql": f"{columns} LIMIT 5"}, {"sql": f"{columns} LIMIT 6"})
    recorded, _, live = str(difference).partition(" recorded, ")
    assert recorded.endswith("LIMIT 5'")
    assert live.endswith("LIMIT 6' now")
    missed = first_difference(f"{columns} LIMIT 5", f"{columns} LIMIT 6", "$.sql")
    assert missed == str(difference).removesuffix("now") + "asked"
    assert (difference.recorded, difference.live) == (f"{columns} LIMIT 5", f"{columns} LIMIT 6")


def test_every_difference_is_told_with_its_place() -> None:
    """Changed, missing and added members, items, odd names."""
    recorded = {"a": [1, {"b": 2}], "gone": 1, "odd name": 1}
    live = {"a": [1, {"b": 3}, 4], "odd name": 2, "new": None}
    assert told(recorded, live) == [
        ("$.a[1].b", 2, 3),
        ("$.a[2]", ABSENT, 4),
        ("$.gone", 1, ABSENT),
        ('$["odd name"]', 1, 2),
        ("$.new", ABSENT, None),
    ]


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0), ("1", 1), (None, False)])
def test_kinds_of_values_count(one: object, other: object) -> None:
    """What Python takes for equal is not equal when JSON writes it differently."""
    assert told(one, other) == [("$", one, other)]


def test_members_in_another_order_are_told_where_nothing_else_differs() -> None:
    """To MongoDB it is another document; a report that names no difference helps nobody."""
    recorded, live = {"to": 1, "doc": [{"a": 1, "b": {"c": 2}}]}, {"to": 1, "doc": [{"b": {"c": 2}, "a": 1}]}
    assert list(differences(recorded, live)) == []
    assert list(map(str, orders(recorded, live))) == ["$.doc[0]: ['a', 'b'] recorded, ['b', 'a'] now"]
    assert list(orders(recorded, recorded)) == []


def test_tokens_are_compared_by_claims() -> None:
    """A signature may differ, a claim not; also within a longer text."""
    mine, signed_again = token({"sub": "ada"}, "one"), token({"sub": "ada"}, "two")
    assert told({"token": mine}, {"token": signed_again}) == []
    assert told(f"t={mine}; Path=/", f"t={signed_again}; Path=/") == []
    assert told({"t": mine}, {"t": token({"sub": "eve"}, "one")}) == [("$.t.claims.sub", "ada", "eve")]


def test_likest_values_are_paired() -> None:
    """Of several, each goes with the one that differs least."""
    first, second = [{"a": 1, "b": 1}, {"a": 2, "b": 2}], [{"a": 2, "b": 3}, {"a": 1, "b": 1}]
    assert {(mine, theirs): len(found) for mine, theirs, found in pairs_by_likeness(first, second)} == {
        (0, 1): 0,
        (1, 0): 1,
    }


def test_what_the_server_adds_does_not_count() -> None:
    """Date, Server and the like are compared only when the app said them; order within a name counts."""
    recorded = [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Server", "shop")]
    live = [("date", "now"), ("server", "uvicorn"), ("server", "shop"), ("content-type", "text/plain"), *recorded[1:3]]
    assert list(compare_headers(recorded, live)) == []
    assert [one.what for one in compare_headers(recorded, [*recorded[:1], *recorded[2:0:-1]])] == [
        "set-cookie",
        "server",
    ]


def test_bodies_are_compared_by_value_through_their_coding() -> None:
    """JSON may be written in another way, compressed or not; text may not."""

    def reply(body: bytes, *headers: tuple[str, str]) -> ComparedResponse:
        return ComparedResponse(200, list(headers), body)

    zipped = ("Content-Encoding", "gzip")
    assert not list(compare_response("GET", reply(b'{"a":1,"b":2}'), reply(b'{"b": 2, "a": 1}')))
    packed = [reply(gzip.compress(b'{"a":1}', mtime=time), zipped) for time in (1, 2)]
    assert not list(compare_response("GET", *packed))
    (found,) = compare_response("GET", reply(b"total 5"), reply(b"total 6"))
    assert (found.kind, found.fields[0].path) == ("body", "$ at byte 6 of 7 and 7")
    assert not list(compare_response("HEAD", reply(b"total 5"), reply(b"")))


def test_response_seen_in_part_is_compared_so_far() -> None:
    """A client that left early has shown the beginning of the body."""
    recorded = ComparedResponse(200, [], b"abc", "left")
    assert not list(compare_response("GET", recorded, ComparedResponse(200, [], b"abcdef")))
    assert list(compare_response("GET", recorded, ComparedResponse(200, [], b"abX")))


def test_recorded_exception_asks_for_a_server_error() -> None:
    """When the app raised, its server answered: with 500 or more."""
    raised = ComparedResponse(None, [], b"")
    assert not list(compare_response("GET", raised, ComparedResponse(500, [], b"")))
    assert [one.kind for one in compare_response("GET", raised, ComparedResponse(200, [], b""))] == ["status"]


def notes(*noted: dict[str, Any]) -> Notes:
    """Notes of a replay, lane ``l`` when none is named."""
    return Notes({"lane": "l", "pid": 1, **note} for note in noted)


def kinds(noted: Notes, lane: str = "l", *, unused: Any = "error") -> list[tuple[str, str]]:
    """What is wrong with a lane's calls."""
    found = compare_calls(noted.lanes.get(lane, LaneNotes()), unused, noted.everywhere())
    return [(one.kind, one.what) for one in found if not one.warning]


def answered(span: str, how: str = "exact", **more: Any) -> dict[str, Any]:
    """A note of an answered call."""
    return {"what": "answered", "how": how, "span": span, "key": ["db", "find", span], **more}


def unused(*spans: str, **more: Any) -> dict[str, Any]:
    """A note of the end of a lane."""
    calls = [
        {"span": span, "key": ["db", "insert", "orders"], "shown": {"total": number}}
        for number, span in enumerate(spans)
    ]
    return {"what": "end", "unused": calls, **more}


def test_calls_that_match_are_nothing() -> None:
    """All answered, none left, none once more."""
    assert kinds(notes(answered("1"), answered("2", "translated"), unused())) == []


def test_what_each_process_settles_is_asked_by_any_of_them() -> None:
    """An index that a model needs: in another lane, more often than recorded, but at least once."""
    index = {"span": "1", "key": ["mongodb", "shop", "createIndexes", "users"], "shown": {}, "settles": "users"}
    left = {"what": "end", "unused": [index]}
    borrowed = answered("7", "borrowed", settles="users", lane="other")
    assert kinds(notes(borrowed, answered("7", settles="users", lane="third"), left)) == []
    assert kinds(notes(borrowed, answered("7", settles="users", lane="third")), "other") == []
    assert kinds(notes(answered("1", settles="users"), answered("1", "repeated", settles="users"))) == []
    assert kinds(notes(answered("7", settles="orders", lane="other"), left)) == [
        ("missing", "mongodb shop createIndexes users")
    ]


def test_miss_goes_with_the_likest_unused_call() -> None:
    """A miss and an unused call of one address are one change; the rest is missing or extra."""
    missed = {"what": "miss", "key": ["db", "insert", "orders"], "asked": {"total": 1, "new": 1}, "message": "m"}
    other = {"what": "miss", "key": ["db", "insert", "carts"], "asked": {}, "message": "m"}
    found = notes(missed, other, unused("a", "b"))
    assert kinds(found) == [
        ("changed", "db insert orders"),
        ("extra", "db insert carts"),
        ("missing", "db insert orders"),
    ]
    assert kinds(found, unused="ignore")[-1] == ("extra", "db insert carts")


def test_call_after_the_response_is_not_missing() -> None:
    """A background task asks when the lane has ended."""
    assert kinds(notes(unused("a"), answered("a"))) == []


def test_repeated_read_is_extra() -> None:
    """A read that was answered a second time was recorded once less."""
    assert [kind for kind, _ in kinds(notes(answered("1"), answered("1", "repeated"), unused()))] == ["extra"]


def test_read_of_a_cache_may_move_to_another_lane() -> None:
    """Who fills a cache is chance: a read that one lane has no more and another has now is no difference."""
    moved = notes(answered("a", "borrowed"), unused(), unused("a", lane="other"))
    assert (kinds(moved), kinds(moved, "other")) == ([], [])
    doubled = notes(answered("a", "borrowed"), unused(), answered("a", lane="other"))
    assert [kind for kind, _ in kinds(doubled)] == ["extra"]


def test_each_process_fills_its_own_cache() -> None:
    """What two processes keep both ask, and so may requests that come at once; not one behind another."""
    begun, there, again = ({"what": "lane", "recorded": lane, "request": "GET /"} for lane in ("other", "l", "third"))
    other, mine = answered("a", lane="other"), answered("a", "borrowed")
    its_end = unused(lane="other")
    assert kinds(notes(begun, other, its_end, *({**one, "pid": 2} for one in (there, mine, unused())))) == []
    assert kinds(notes(begun, there, mine, other, its_end, unused())) == []
    assert [kind for kind, _ in kinds(notes(begun, other, its_end, there, mine, unused()))] == ["extra"]
    assert [kind for kind, _ in kinds(notes(there, mine, unused(), begun, other, its_end))] == ["extra"]
    late = [{**one, "pid": 2, "lane": "third"} for one in (again, mine, unused())]
    twice = notes(begun, other, its_end, *({**one, "pid": 2} for one in (there, mine, unused())), *late)
    assert [[kind for kind, _ in kinds(twice, lane)] for lane in ("l", "third")] == [["extra"], ["extra"]]
    left = unused("b")
    left["unused"][0]["kept"] = True
    assert kinds(notes(left)) == []


def test_order_counts_for_writes_that_came_one_after_the_other() -> None:
    """Writes that overlapped in the recording may come in any order, others not; reads always may."""
    first, second, beside = answered("1", write=[0, 10]), answered("2", write=[20, 30]), answered("3", write=[5, 25])
    assert kinds(notes(first, second, unused())) == []
    assert [kind for kind, _ in kinds(notes(second, first, unused()))] == ["reordered"]
    assert kinds(notes(beside, first, unused())) == []
    assert kinds(notes(answered("b"), answered("a"), unused())) == []


def test_bound_value_is_a_change_when_it_was_recorded() -> None:
    """The app notes what it asked when nondeterminism was recorded and a value differs all the same."""
    found = notes(answered("1", "shape", recorded={"_id": 1}, asked={"_id": 2}), unused())
    assert [kind for kind, _ in kinds(found)] == ["changed"]


def test_whether_a_connection_stays_is_no_difference() -> None:
    """Streams ask for it, and a server that is asked to close says so instead; other options are the app's."""
    stream = ("content-type", "text/event-stream")
    recorded = [stream, ("Connection", "keep-alive"), ("Keep-Alive", "timeout=5")]
    assert list(compare_headers(recorded, [stream, ("connection", "close")])) == []
    (found,) = compare_headers([stream, ("Connection", "close, x-hop")], [stream, ("Connection", "Close")])
    assert (found.kind, found.what) == ("header", "connection")


def test_a_servers_date_in_the_place_of_the_apps_is_no_difference() -> None:
    """Gunicorn drops the date of the app, which files that Flask sends have; another date of the app is one."""
    recorded = [("Date", "Mon, 02 Nov 2026 10:00:00 GMT")]
    assert list(compare_headers(recorded, [("Date", formatdate(usegmt=True))])) == []
    for live in ([("Date", "Mon, 02 Nov 2026 10:00:01 GMT")], [("Date", "today")], []):
        assert [one.what for one in compare_headers(recorded, live)] == ["date"]


def test_a_servers_name_in_the_place_of_the_apps() -> None:
    """Gunicorn sends its own name whatever the app says; another that is sent is the app's."""
    recorded = [("Server", "shop/1")]
    assert list(compare_headers(recorded, [("Server", "gunicorn")])) == []
    assert len(list(compare_headers(recorded, [("Server", "shop/2")]))) == 1


def test_an_app_goes_on_until_it_notices_that_its_client_has_left() -> None:
    """With one call more of a kind that it made again and again, also before its last words; not of any other kind."""

    def found(*noted: dict[str, Any]) -> list[str]:
        told = notes(*noted, unused())
        return [one.kind for one in compare_calls(told.lanes["l"], "error", told.everywhere(), left=True)]

    def call(span: str, kind: str) -> dict[str, Any]:
        return {**answered(span), "key": ["db", kind]}

    def more(kind: str) -> dict[str, Any]:
        return {"what": "miss", "key": ["db", kind], "asked": {}, "message": "m"}

    begun, stream, last_words = call("1", "log"), [call("2", "tick"), call("3", "tick")], call("4", "left")
    assert found(begun, *stream, more("tick"), last_words) == []
    assert found(begun, *stream, last_words, more("tick")) == []
    assert found(begun, more("log"), *stream, last_words) == ["extra"]
    assert found(begun, *stream, more("other"), last_words) == ["extra"]
    assert found(begun, stream[0], more("tick"), stream[1], last_words) == ["extra"]
