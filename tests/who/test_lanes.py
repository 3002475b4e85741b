"""Which recorded request a live one follows, by who asks."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from opentelemetry.trace import SpanKind

from tests.cli.conftest import Recording
from tests.who.conftest import use
from timetracer_otel import redaction, spans
from timetracer_otel.cassette.shelf import Shelf
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.replay.answering.entries import Entries
from timetracer_otel.replay.comparing.responses import ComparedResponse, compare_headers
from timetracer_otel.replay.verifying.client import hidden_places, recorded_request

pytestmark = pytest.mark.usefixtures("key")
Said = tuple[str, list[tuple[str, str]], int]


def jwt(signature: str = "sig", **claims: object) -> tuple[str, str]:
    """An Authorization header with a token that claims something."""
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "x"}, claims)
    )
    return "Authorization", f"Bearer {head}.{body}.{signature}"


ANN, BOB = ("Authorization", "Bearer ann-secret"), ("Authorization", "Bearer bob-secret")


def entries(folder: Path, *said: Said) -> Entries:
    """Recorded requests: target, headers, status; lane n is the nth."""
    files = []
    for number, (target, headers, status) in enumerate(said, start=1):
        recording = Recording(number)
        hidden = redaction.url(target), redaction.headers(headers)
        recording.entry("GET", hidden[0], headers=hidden[1], status=status)
        files.append(recording.write(folder / f"lane-{number}.jsonl"))
    return Entries(Shelf.of(files, opened=True), lambda _name: True)


def followed(found: Entries, target: str, *headers: tuple[str, str]) -> tuple[int, str]:
    """The number of the lane that a request follows, 0 for none, and what is said about it."""
    lane, remark = found.choose(Request("GET", target, list(headers), complete=True))
    return (0 if lane is None else int(lane.id, 16)), remark


def test_a_body_that_was_not_read_is_told_by_its_length_and_kind(tmp_path: Path) -> None:
    """One that the app refused unread and one that it took, of the same words: each is followed in its turn."""
    files = []
    recorded = ("a/b", b"word", False), ("a/b", b"word", True), ("a/c", b"word", True)
    for number, (kind, body, read) in enumerate(recorded):
        recording = Recording(number + 1)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        unread = {} if read else {spans.INCOMPLETE: "request"}
        recording.entry("POST", "/x", headers=headers, request=body if read else b"", extra=unread)
        files.append(recording.write(tmp_path / f"lane-{number}.jsonl"))
    found = Entries(Shelf.of(files, opened=True), lambda _name: True)

    def follow(kind: str, body: bytes) -> int:
        headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
        lane = found.choose(Request("POST", "/x", headers, complete=True, body=[body])).lane
        return 0 if lane is None else int(lane.id, 16)

    assert [follow("a/b", b"word"), follow("a/b", b"word"), follow("a/c", b"word")] == [1, 2, 3]
    assert follow("a/b", b"longer") == 0


def test_a_body_that_left_in_chunks_is_waited_for(tmp_path: Path) -> None:
    """A large upload is told from others by its body, so that is read before the app asks anything."""
    recording = Recording()
    left = spans.encode_payload(spans.HTTP_REQUEST_BODY, b"word")
    entry = recording.entry("POST", "/x", extra={spans.HTTP_REQUEST_BODY + spans.PARTS: 1})
    for name in left:
        recording.spans[0][1]["attributes"] = [one for one in recording.spans[0][1]["attributes"] if one["key"] != name]
    chunk = {spans.PART: "chunk", spans.PART_OF: spans.HTTP_REQUEST_BODY, spans.PART_INDEX: 0, **left}
    recording.span("chunk", SpanKind.INTERNAL, chunk, parent=entry)
    found = Entries(Shelf.of([recording.write(tmp_path / "lane.jsonl")], opened=True), lambda _name: True)

    assert found.wants_whole(Request("POST", "/x", []))
    assert found.choose(Request("POST", "/x", [("Host", "shop.example")], body=[b"other"])).lane is None
    assert found.choose(Request("POST", "/x", [("Host", "shop.example")], body=[b"word"])).lane is not None


def test_with_credentials_and_without_are_never_one(tmp_path: Path) -> None:
    """Neither way round, not even when there is nothing else; and it is said."""
    found = entries(tmp_path, ("/me", [], 401), ("/token", [ANN], 200))
    lane, remark = followed(found, "/me", ANN)
    assert lane == 0
    assert "only without credentials" in remark
    lane, remark = followed(found, "/token")
    assert lane == 0
    assert "only with credentials" in remark
    assert followed(found, "/me") == (1, "")


def test_the_same_credentials_come_first(tmp_path: Path) -> None:
    """However often they are asked for; only where there are none others do, and that is said."""
    found = entries(tmp_path, ("/me", [], 401), ("/me", [ANN], 200), ("/me", [BOB], 200), ("/me", [ANN], 200))
    assert [followed(found, "/me", ANN)[0] for _ in range(3)] == [2, 4, 2]
    assert followed(found, "/me", BOB) == (3, "")
    lane, remark = followed(found, "/me", ("Authorization", "Bearer eve"))
    assert lane in {2, 3, 4}
    assert "other credentials" in remark


def test_a_new_token_of_the_same_person(tmp_path: Path) -> None:
    """Tokens are compared by what they claim, but for when they were issued; a refusal stands for no other token."""
    recorded = [jwt("old", sub="ann", exp=1), jwt(sub="bob", exp=9), jwt(sub="ann", exp=9)]
    statuses = (401, 200, 200)
    found = entries(tmp_path, *(("/me", [one], status) for one, status in zip(recorded, statuses, strict=True)))
    assert followed(found, "/me", jwt("new", sub="ann", exp=20)) == (3, "")
    assert followed(found, "/me", jwt("new", sub="bob", exp=20)) == (2, "")
    assert followed(found, "/me", recorded[0]) == (1, "")


def test_keys_in_headers_and_in_the_query(tmp_path: Path) -> None:
    """Both are credentials; the rest of the query still tells requests apart."""
    found = entries(
        tmp_path,
        ("/me?page=1&api_key=ann-key", [], 200),
        ("/me?page=1&api_key=bob-key", [], 200),
        ("/me?page=1", [("X-Api-Key", "ann-key")], 200),
        ("/me?page=1", [("X-Api-Key", "bob-key")], 200),
    )
    assert followed(found, "/me?page=1&api_key=bob-key") == (2, "")
    assert followed(found, "/me?page=1&api_key=ann-key") == (1, "")
    assert followed(found, "/me?page=1", ("x-api-key", "bob-key")) == (4, "")
    assert followed(found, "/me?page=2&api_key=ann-key")[0] == 0
    assert followed(found, "/me?page=1")[0] == 0


def test_cookies(tmp_path: Path) -> None:
    """The same session first, then another one, then none."""
    session = [("Cookie", "theme=dark; session=ann")]
    found = entries(tmp_path, ("/me", [], 401), ("/me", session, 200), ("/me", [("Cookie", "session=bob")], 200))
    assert followed(found, "/me", ("Cookie", "session=bob"))[0] == 3
    assert followed(found, "/me", ("Cookie", "theme=dark; session=signed-anew"))[0] == 2
    assert followed(found, "/me")[0] == 1


def test_one_trace_with_several_targets(tmp_path: Path) -> None:
    """Requests of one page load have one trace id and no body: each follows its own."""
    files, trace = [], f"{7:032x}"
    for number, target in enumerate(("/a", "/b"), start=1):
        recording = Recording(number)
        recording.entry("GET", target)
        recording.spans[0][1]["traceId"] = trace
        files.append(recording.write(tmp_path / f"lane-{number}.jsonl"))
    found = Entries(Shelf.of(files), lambda _name: True)
    parent = ("traceparent", f"00-{trace}-{1:016x}-01")
    assert [followed(found, target, parent)[0] for target in ("/a", "/b", "/a")] == [1, 2, 1]


@pytest.mark.parametrize("recorded_with", ["none", "another"])
def test_credentials_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorded_with: str) -> None:
    """They may be anybody's: a request with some may follow, one without may not; and it is said why."""
    keys = {"none": "none", "another": base64.b64encode(bytes(32)).decode()}
    use(monkeypatch, keys[recorded_with])
    found = entries(tmp_path, ("/me?token=x", [], 200), ("/me?token=x", [ANN], 200))
    use(monkeypatch, "none")
    lane, remark = followed(found, "/me?token=y", BOB)
    assert lane == 2
    assert "masked" in remark if recorded_with == "none" else "not here" in remark
    assert followed(found, "/me")[0] == 0


def test_a_given_header_replaces_and_adds_nothing(tmp_path: Path) -> None:
    """What was recorded without one stays without."""
    found = Recording(1)
    found.entry("GET", "/", headers=[("Host", "x")])
    other = Recording(2)
    other.entry("GET", "/", headers=[("authorization", "Bearer old")])
    shelf = Shelf.of([one.write(tmp_path / f"{n}.jsonl") for n, one in enumerate((found, other))])
    heads = [
        recorded_request(lane.entry, lane.id, [("Authorization", "Bearer new")]).head
        for lane in shelf.lanes
        if lane.entry is not None
    ]
    assert b"uthorization" not in heads[0]
    assert b"Authorization: Bearer new" in heads[1]
    assert b"old" not in heads[1]


def test_what_is_hidden_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the header, with the reason."""
    use(monkeypatch, "none")
    recording = Recording(1)
    recording.entry("GET", "/", headers=redaction.headers([ANN, ("Accept", "*/*")]))
    lane = next(Shelf.of([recording.write(tmp_path / "1.jsonl")]).lanes)
    assert lane.entry is not None
    assert hidden_places(lane.entry) == {"authorization": "was masked while recording, because there was no key"}


def test_headers_of_responses() -> None:
    """Compared by their secrets where these are known, else by all the rest; a difference does not print them."""

    def compared(one: str, other: str) -> list[str]:
        replies = (ComparedResponse(200, [("Set-Cookie", value)], b"") for value in (one, other))
        return [str(found) for found in compare_headers(*(reply.headers for reply in replies))]

    assert compared("sid=abc; Path=/", "sid=abc; Path=/") == []
    (differs,) = compared("sid=abc-secret; Path=/", "sid=xyz-secret; Path=/")
    assert "secret" not in differs.replace("[sealed", "")
    assert compared("sid=[redacted]; Path=/", "sid=xyz; Path=/") == []
    assert len(compared("sid=[redacted]; Path=/", "sid=xyz; Path=/; HttpOnly")) == 1
