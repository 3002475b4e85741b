"""The ignore list: what it hides, what it refuses, what is proposed."""

from __future__ import annotations

from pathlib import Path

import pytest

from timetracer_otel import spans
from timetracer_otel.cassette.model import Kind, Lane, Span
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.ignore import IgnoreList, IgnoreRule, read, write
from timetracer_otel.replay.comparing.results import Verified
from timetracer_otel.replay.comparing.values import ABSENT, FieldDifference
from timetracer_otel.replay.verifying.learning import propose, used_values


def verified(*differences: Difference) -> Verified:
    """A compared request."""
    return Verified("l", "GET /orders/1", "GET /orders/<id>", "f.jsonl", 0.1, differences)


def body(path: str, recorded: object = "a", live: object = "b") -> Difference:
    """A difference in a body."""
    return Difference("body", "", (FieldDifference(path, recorded, live),))


HEADER = Difference("header", "x-id", (FieldDifference("$", "r-81", "r-82"),))
STATUS = Difference("status", "", (FieldDifference("$", 200, 500),))


@pytest.mark.parametrize(
    ("entry", "hidden"),
    [
        (IgnoreRule("GET /orders/<id>", body="$.at"), {"$.at", "$.at.zone"}),
        (IgnoreRule("*", body="$.items[*].at"), {"$.items[0].at", "$.items[12].at"}),
        (IgnoreRule("POST /orders", body="$.at"), set()),
        (IgnoreRule("*", header="x-id"), {"x-id"}),
        (IgnoreRule("*", header="x-other"), set()),
    ],
)
def test_entry_hides_its_place_only(entry: IgnoreRule, hidden: set[str]) -> None:
    """An entry hides what it names and what is below it, in the requests that it names."""
    paths = ["$.at", "$.at.zone", "$.attic", "$.items[0].at", "$.items[12].at", "$.items[0].n"]
    seen = verified(*map(body, paths), HEADER, STATUS)
    rest, count = IgnoreList((entry,)).apply(seen)
    left = {one.what or one.fields[0].path for one in rest.differences}
    assert ({*paths, "x-id", "$"} - left, count) == (hidden, len(hidden))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[ignore]]\nrequest = "*"\nbody = "$"', "hides a whole body"),
        ('[[ignore]]\nrequest = "*"\nbody = "$[*]"', "hides a whole body"),
        ('[[ignore]]\nrequest = "*"', "either `header` or `body`"),
        ('[[ignore]]\nrequest = "*"\nheader = "a"\nbody = "$.b"', "either `header` or `body`"),
        ('[[ignore]]\nbody = "$.b"', "`request`"),
        ('[[ignore]]\nrequest = "*"\nstatus = "200"', "the texts"),
        ("ignore = 3", "the texts"),
        ("[[", "cannot be read"),
    ],
)
def test_list_that_hides_too_much_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A whole body, a status, or what is no entry is an error that names the file."""
    file = tmp_path / "list.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=says) as refused:
        read([file])
    assert "list.toml" in str(refused.value)


def test_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Quotes, backslashes and control characters survive; a list that is not there is empty."""
    entries = (
        IgnoreRule("GET /a", body='$["odd \\ \\" name"].b', seen="'\x7f\n' recorded"),
        IgnoreRule("*", header="x-a"),
    )
    write(tmp_path / "list.toml", IgnoreList(entries), ["GET /a: body $ (why\nnot)"])
    assert read([tmp_path / "list.toml", tmp_path / "none.toml"]) == IgnoreList(entries)


def test_only_noise_is_proposed() -> None:
    """Leaves and headers are; statuses, calls, whole bodies, flags, lists and values that others use are not."""
    found = verified(
        HEADER,
        STATUS,
        Difference("missing", "mongodb find"),
        body("$.items[3].at"),
        body("$", {}, []),
        body("$ at byte 3 of 4 and 4"),
        body("$.paid", recorded=True, live=False),
        body("$.list", [1], [2]),
        body("$.gone", "a", ABSENT),
        body("$.id", "order-7", "order-8"),
        body("$.number", 712, 713),
    )
    proposed, refused = propose([[found], [found]], lambda values: values & {"order-7", "b"}, IgnoreList())
    places = {entry.header or entry.body for entry in proposed.entries}
    assert places == {"x-id", "$.items[*].at", "$.number"}
    assert len(refused) == 8
    assert any("$.id (another request or call uses its value 'order-7')" in one for one in refused)


def test_values_that_others_use_are_found() -> None:
    """As a word in a URL, a header or a body, or as the bytes of an id in a call; not within a longer word."""
    key = "0123456789abcdef01234567"
    entry = Span("1", "2", None, "n", Kind.SERVER, 0, 1, {spans.HTTP_TARGET: "/orders/order-7?x=712"}, {})
    call = Span("1", "3", "2", "n", Kind.CLIENT, 0, 1, {}, {})
    call.attributes |= spans.encode_binary(spans.REQUEST, b"\x07_id\x00" + bytes.fromhex(key) + b"name ada")
    entry.attributes |= spans.encode_headers(spans.HTTP_REQUEST_HEADERS, [("Cookie", "s=abc")])
    values = {"order-7", "order", "71", "712", "abc", "ada", key, "0" * 24, "name a"}
    assert used_values(values, [Lane("l", None, [entry, call])]) == {"order-7", "712", "abc", "ada", key}
