"""``timetracer show``."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from flask import Flask, Response
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import Status, StatusCode

from tests.cli.conftest import MS, START, Command, Recording, run
from timetracer_otel import spans, testing
from timetracer_otel.cassette import storage
from timetracer_otel.cli import describing
from timetracer_otel.integrations.flask import auto_setup

OID = bson.ObjectId("6b018235388da57147069576")


def shown(*arguments: str | Path) -> dict[str, Any]:
    """What ``show --json`` prints."""
    done = run("show", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A lane with a span between entry and call, and a call that failed."""
    recording = Recording()
    entry = recording.entry(
        "POST",
        "/checkout",
        409,
        request=b'{"cart": [1, 2]}',
        response=b"\x89PNG\xff",
        headers=[("X-A", "1"), ("X-A", "2")],
    )
    step = recording.span("pay", SpanKind.INTERNAL, {}, parent=entry, offset=MS)
    command = {"find": "users", "filter": {"_id": OID}, "$db": "shop"}
    recording.call(step, command, {"ok": 1.0, "cursor": {"id": 0, "firstBatch": [{"_id": OID}]}}, offset=2 * MS)
    failed = Status(StatusCode.ERROR, "E11000 duplicate key")
    recording.call(entry, {"insert": "users", "$db": "shop"}, {"ok": 1.0}, offset=4 * MS, status=failed)
    return recording.write(tmp_path / "checkout.jsonl")


def test_secrets_are_short_placeholders(tmp_path: Path, timetracer: Command) -> None:
    """A sealed secret is a word that tells it from others, in headers and in targets, as text and as JSON."""
    token = "tt1.0a1b2c." + "Q" * 43
    recording = Recording()
    recording.entry("GET", f"/orders?api_key={token}", 200, request=b"", response=b"", headers=[("X-Api-Key", token)])
    file = recording.write(tmp_path / "orders.jsonl")
    for done in (timetracer("show", file), timetracer("show", file, "--json"), timetracer("list", file, "--json")):
        assert "[sealed 0a1b2c:QQQQ]" in done.stdout
        assert token not in done.stdout


def test_text_shows_a_lane_as_a_tree(checkout: Path, timetracer: Command) -> None:
    """Request and response with bodies, spans under their parents with offsets, sizes, decoded calls and errors."""
    done = timetracer("show", checkout)
    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert text.startswith("POST /checkout  409  10.0 ms  2 calls\n")
    assert "  X-A: 1\n  X-A: 2\n" in text
    assert '  {"cart": [1, 2]}\n' in text
    assert "  <5 bytes base64: iVBOR/8=>\n" in text
    lines = text[text.index("\nspans\n") :].splitlines()[2:]
    assert lines[0] == "+0.0 ms POST /users  10.0 ms  server"
    assert lines[1] == "├── +1.0 ms pay  10.0 ms  internal"
    assert re.fullmatch(r"│   └── \+2\.0 ms shop\.find  10\.0 ms  client  → \d+ B  ← \d+ B  00000000000003eb", lines[2])
    assert '{"find": "users", "filter": {"_id": {"$oid": "6b018235388da57147069576"}}, "$db": "shop"}' in lines[3]
    assert next(line for line in lines if "shop.insert" in line).endswith("E11000 duplicate key")
    assert "\x1b" not in text


def test_json_has_everything(checkout: Path) -> None:
    """``--json`` is one object: lanes with request, response, resource and decoded spans."""
    document = shown(checkout)
    (lane,) = document["lanes"]
    assert document["files"] == [str(checkout)]
    assert [lane["method"], lane["target"], lane["status"], lane["calls"]] == ["POST", "/checkout", 409, 2]
    assert lane["request"]["headers"] == [["X-A", "1"], ["X-A", "2"]]
    assert lane["request"]["body"] == {"size": 16, "text": '{"cart": [1, 2]}'}
    assert base64.b64decode(lane["response"]["body"]["base64"]) == b"\x89PNG\xff"
    assert lane["resource"]["service.name"] == "shop"
    entry, step, find, insert = lane["spans"]
    assert [step["parent_id"], find["parent_id"]] == [entry["span_id"], step["span_id"]]
    assert find["request"]["filter"] == {"_id": {"$oid": str(OID)}}
    assert find["response"]["cursor"]["firstBatch"] == [{"_id": {"$oid": str(OID)}}]
    assert [find["offset_ms"], find["plugin"], find["decoded"]] == [2.0, "pymongo", True]
    assert [find["error"], insert["error"]] == [None, "E11000 duplicate key"]


def test_huge_bodies_are_shortened_in_text_only(tmp_path: Path, timetracer: Command) -> None:
    """Text shows the beginning of a long body and says how much is missing; JSON has it whole."""
    body = b"x" * 3_000_000
    recording = Recording()
    entry = recording.entry(request=body, response=json.dumps(list(range(5000))).encode())
    recording.call(entry, {"insert": "users", "documents": [{"n": n} for n in range(3000)], "$db": "shop"}, {"ok": 1.0})
    file = recording.write(tmp_path / "a.jsonl")
    text = timetracer("show", file).stdout
    assert len(text) < 20_000
    assert "2,996,000 more characters; --json shows all" in text
    (lane,) = shown(file)["lanes"]
    assert lane["request"]["body"]["text"] == body.decode()
    assert len(lane["spans"][1]["request"]["documents"]) == 3000


def test_latest_and_lane_choose(tmp_path: Path, timetracer: Command) -> None:
    """``latest`` is the newest lane; ``--lane`` picks one by its id, or by how that begins."""
    paths = []
    for number in (0xAAA, 0xBBB):
        recording = Recording(number << 116)
        recording.number = number
        recording.entry(target=f"/{number:x}")
        paths.append(recording.write(tmp_path / "2026-11-18" / "11" / f"{number:x}.jsonl"))
    storage.point_latest(tmp_path, paths[1])
    assert timetracer("show", "latest", TIMETRACER_DIR=str(tmp_path)).stdout.startswith("GET /bbb ")
    assert [lane["target"] for lane in shown(tmp_path)["lanes"]] == ["/aaa", "/bbb"]
    assert [lane["target"] for lane in shown(tmp_path, "--lane", "aaa")["lanes"]] == ["/aaa"]
    assert [lane["target"] for lane in shown(tmp_path, "--lane", f"{0xBBB << 116:032x}")["lanes"]] == ["/bbb"]
    missing = timetracer("show", tmp_path, "--lane", "ccc")
    assert (missing.returncode, missing.stdout, len(missing.stderr.splitlines())) == (2, "", 1)


def test_session_shows_output_and_exit_status(tmp_path: Path, timetracer: Command) -> None:
    """A session has its program's command line, output and exit status."""
    session = Recording(3, of_session=True)
    own = {spans.SESSION_EXIT_STATUS: 0, **spans.encode_payload(spans.SESSION_STDOUT, b"done\x1b[31m\nall\n")}
    session.span("session etl", SpanKind.INTERNAL, own)
    file = session.write(storage.session_path(tmp_path, START, "etl", session.id))
    text = timetracer("show", file).stdout
    assert text.startswith("session etl  0  10.0 ms  0 calls\n")
    assert "python app.py" in text
    assert "stdout\n  done\\x1b[31m\n  all\n" in text
    assert shown(file)["lanes"][0]["output"]["stdout"] == {"size": 14, "text": "done\x1b[31m\nall\n"}


def test_session_tells_what_is_not_recorded(tmp_path: Path, timetracer: Command) -> None:
    """What a process could not write is said with its session, also when it was killed before its end."""
    session = Recording(3, of_session=True)
    # The session's own span has the last word, and begins before all others.
    for begin, lost, reasons in ((0, 3, ["disk=2", "memory=1"]), (1, 1, ["disk=1"]), (2, 2, ["disk=2"])):
        counts = {spans.DROPPED_LANES: lost, spans.DROPPED_REASON: reasons}
        session.span("timetracer.counts", SpanKind.INTERNAL, counts, offset=begin * 1_000_000)
    file = session.write(storage.session_path(tmp_path, START, "etl", session.id))
    assert "3 requests not recorded (disk=2, memory=1)" in timetracer("show", file).stdout
    assert shown(file)["lanes"][0]["error"] == "3 requests not recorded (disk=2, memory=1)"


def test_cut_and_undecodable_payloads_are_marked(tmp_path: Path, timetracer: Command) -> None:
    """What was cut or cannot be decoded is said in its place; everything else is shown."""
    recording = Recording()
    cut = {spans.HTTP_REQUEST_BODY: "half", spans.HTTP_REQUEST_BODY + ".size": 8, spans.INCOMPLETE: "response"}
    entry = recording.entry(extra=cut)
    garbage = {spans.PLUGIN: "pymongo", **spans.encode_binary(spans.REQUEST, b"\xff" * 30), spans.ERROR: "{"}
    recording.span("broken", SpanKind.CLIENT, garbage, parent=entry)
    unknown = {spans.PLUGIN: "tomorrow", **spans.encode_payload(spans.REQUEST, b"PING")}
    recording.span("unknown", SpanKind.CLIENT, unknown, parent=entry)
    file = recording.write(tmp_path / "a.jsonl")
    done = timetracer("show", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "has 4 of its 8 bytes" in done.stdout
    assert "incomplete: response" in done.stdout
    assert "broken" in done.stdout
    assert "request PING" in done.stdout
    assert "has 4 of its 8 bytes" in shown(file)["lanes"][0]["request"]["body"]["damaged"]


def test_odd_trees_are_shown_whole(tmp_path: Path, timetracer: Command) -> None:
    """Spans whose parents are missing, themselves, a circle, or very deep are all there, once."""
    recording = Recording()
    recording.span("orphan", SpanKind.INTERNAL, {}, parent=77)
    recording.span("own-parent", SpanKind.INTERNAL, {}, parent=1002)
    recording.span("circle-a", SpanKind.INTERNAL, {}, parent=1004)
    recording.span("circle-b", SpanKind.INTERNAL, {}, parent=1003)
    parent = recording.span("deep-0", SpanKind.INTERNAL, {})
    for level in range(1, 400):
        parent = recording.span(f"deep-{level}", SpanKind.INTERNAL, {}, parent=parent)
    text = timetracer("show", recording.write(tmp_path / "a.jsonl")).stdout
    names = [line.split(" ms ")[1].split()[0] for line in text.splitlines() if " ms " in line and "+" in line]
    expected = ["orphan", "own-parent", "circle-a", "circle-b", *(f"deep-{level}" for level in range(400))]
    assert sorted(names) == sorted(expected)


def test_deeply_nested_json_is_shown(tmp_path: Path, timetracer: Command) -> None:
    """A body nested thousands of levels deep is shown as text."""
    recording = Recording()
    recording.entry(request=b"[" * 50_000)
    recording.call(1001, {"find": "x", "$db": "shop", "filter": _nested(90)}, {"ok": float("nan")})
    file = recording.write(tmp_path / "a.jsonl")
    done = timetracer("show", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  [[[[" in done.stdout
    assert shown(file)["lanes"][0]["request"]["body"]["size"] == 50_000


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {"leaf": "x" * 200}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("hostile", ["\x1b[2J", "[bold]x[/bold]", "[/]", "\x9b31m", "\u202egnp"])
def test_hostile_text_is_shown_literally(tmp_path: Path, timetracer: Command, hostile: str) -> None:
    """Wherever recorded text stands, its control characters are escaped and its markup is text."""
    recording = Recording()
    entry = recording.entry(
        target=hostile, headers=[(hostile, hostile)], request=hostile.encode(), response=json.dumps([hostile]).encode()
    )
    recording.call(entry, {"find": hostile, "$db": "shop"}, {"ok": 1.0, hostile: hostile})
    recording.span(hostile, SpanKind.CLIENT, {hostile: hostile, spans.ERROR: hostile}, parent=entry)
    file = recording.write(tmp_path / "a.jsonl")
    done = timetracer("show", file)
    expected = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in hostile)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(expected) >= 8
    assert all(char.isprintable() or char == "\n" for char in done.stdout)
    raw = run("show", file, "--json").stdout
    assert raw.isascii()
    assert "\x1b" not in raw
    assert json.loads(raw)["lanes"][0]["target"] == hostile


def test_a_document_that_looks_like_a_payload_is_shown_as_it_is(tmp_path: Path, timetracer: Command) -> None:
    """A decoded reply with the keys size, text and damaged is no payload of ours."""
    recording = Recording()
    reply = {"damaged": "no", "size": 3, "text": "abc", "base64": "x"}
    recording.call(recording.entry(), {"find": "x", "$db": "shop"}, reply)
    assert json.dumps(reply) in timetracer("show", recording.write(tmp_path / "a.jsonl")).stdout


def test_plumbing_is_hidden_unless_all_is_asked_for(tmp_path: Path, timetracer: Command) -> None:
    """Fields of drivers and servers and headers of the connection are counted; --full and --json show them."""
    recording = Recording()
    entry = recording.entry(headers=[("Host", "shop.example"), ("X-Kept", "1"), ("traceparent", "00-1")])
    command = {"find": "users", "filter": {"a": 1}, "lsid": {"id": 1}, "$clusterTime": {"t": 2}, "$db": "shop"}
    recording.call(entry, command, {"ok": 1.0, "operationTime": 5})
    file = recording.write(tmp_path / "a.jsonl")
    text, whole = timetracer("show", file).stdout, timetracer("show", file, "--full").stdout
    assert "X-Kept: 1" in text
    for hidden in ("lsid", "$clusterTime", "operationTime", "traceparent", "shop.example"):
        assert hidden not in text
        assert hidden in whole
    assert 'request {"find": "users", "filter": {"a": 1}, "$db": "shop"}  (+2: --full)' in text
    assert "request  (+2: --full)" in text
    assert shown(file)["lanes"][0]["spans"][1]["request"]["lsid"] == {"id": 1}


def test_one_call_is_shown_whole(tmp_path: Path, timetracer: Command) -> None:
    """``--call`` with the beginning of a span's id: its attributes and its payloads, however long."""
    recording = Recording()
    documents = [{"n": n} for n in range(3000)]
    call = recording.call(recording.entry(), {"insert": "users", "documents": documents, "$db": "shop"}, {"ok": 1.0})
    file = recording.write(tmp_path / "a.jsonl")
    done = timetracer("show", file, "--call", f"{call:016x}")
    assert (done.returncode, done.stderr) == (0, "")
    assert '{"n": 2999}' in done.stdout
    assert "timetracer.plugin pymongo" in done.stdout
    assert shown(file, "--call", f"{call:016x}")["request"]["documents"] == documents
    missing = timetracer("show", file, "--call", "ffff")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "0 calls have the id 'ffff'" in missing.stderr


def chunked(folder: Path, numbers: range) -> Path:
    """A lane whose response came in three chunks, a character in two of them; some of them in the file."""
    recording = Recording()
    name = spans.HTTP_RESPONSE_BODY
    entry = recording.entry(extra={name + spans.PARTS: 3})
    attributes = recording.spans[0][1]["attributes"]
    attributes[:] = [one for one in attributes if one["key"] not in {name, name + ".codec", name + ".size"}]
    for number in numbers:
        place = {spans.PART: "chunk", spans.PART_OF: name, spans.PART_INDEX: number}
        text = "aaaä".encode()
        data = (text[:4], text[4:] + b"b" * 10, b"c" * 10)[number]
        recording.span(
            "chunk", SpanKind.INTERNAL, place | spans.encode_payload(name, data), parent=entry, offset=number * 40 * MS
        )
    return recording.write(folder / "chunked.jsonl")


def test_of_a_long_payload_in_chunks_only_the_first_is_read(tmp_path: Path) -> None:
    """Its beginning and its whole size, in the memory of one chunk; all of it when all is asked for."""
    file = chunked(tmp_path, range(3))
    (lane,) = describing.lanes([file], longest=10).lanes
    assert lane.head["response"]["body"] == {"size": 25, "cut": True, "text": "aaa"}
    (whole,) = describing.lanes([file]).lanes
    assert whole.head["response"]["body"] == {"size": 25, "text": "aaaä" + "b" * 10 + "c" * 10}
    assert [span["duration_ms"] for span in whole.spans] == [90.0]  # until its last chunk


def test_a_lane_without_one_of_its_chunks_is_refused(tmp_path: Path, timetracer: Command) -> None:
    """One line that says what is missing, exit status 2."""
    done = timetracer("show", chunked(tmp_path, range(2)))
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "has 2 of its 3 chunks" in done.stderr


def test_a_streamed_response_lasts_until_its_end(tmp_path: Path, timetracer: Command) -> None:
    """Flask's span ends before the body; list, show and stats tell when the body was over."""

    def slowly() -> Iterator[bytes]:
        for _ in range(3):
            time.sleep(0.01)
            yield b"x"

    with testing.record(tmp_path):
        app = Flask("shop")
        app.add_url_rule("/feed", view_func=lambda: Response(slowly()))
        auto_setup(app)
        assert app.test_client().get("/feed").data == b"xxx"
    (row,) = [one for one in json.loads(timetracer("list", tmp_path, "--json").stdout) if one["kind"] == "lane"]
    (lane,) = shown(tmp_path, "--lane", row["lane_id"])["lanes"]
    (route,) = json.loads(timetracer("stats", tmp_path, "--json").stdout)
    assert min(row["duration_ms"], lane["duration_ms"], lane["spans"][0]["duration_ms"], route["max_ms"]) >= 30
