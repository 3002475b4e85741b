"""Cassettes of timetracer 1.x, recorded with 1.6.0 from small Flask (requests) and FastAPI (httpx) apps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from timetracer_otel import spans as names
from timetracer_otel.cassette import importing, loading, version1
from timetracer_otel.cassette.model import Lane
from timetracer_otel.errors import CassetteError
from timetracer_otel.integrations import known_to_version1

RECORDED = Path(__file__).parent / "version1"


def imported(name: str, to: Path) -> tuple[Lane, list[str]]:
    """Import one cassette; give its lane and what cannot be replayed."""
    done = importing.import_all([str(RECORDED / name)], to, to, "none", known_to_version1())
    assert (done.lanes, done.left_out) == (1, [])
    (lane,) = loading.load(to.rglob("*__*.jsonl")).lanes
    return lane, [problem for _, problem in done.cannot]


def test_request_response_and_calls_are_kept(tmp_path: Path) -> None:
    """Bodies to the byte: the recorded hash tells how the JSON was spelled."""
    lane, problems = imported("flask-users.json", tmp_path)
    assert problems == []
    entry = lane.entry
    assert entry is not None
    assert entry.text(names.HTTP_TARGET) == "/users/7?full=1&tag=a"
    assert entry.attributes[names.HTTP_STATUS] == 200
    assert entry.payload(names.HTTP_REQUEST_BODY) == b""
    body = entry.payload(names.HTTP_RESPONSE_BODY)
    assert body is not None
    assert body.endswith(b"\n")
    assert len(body) == 155
    assert ("host", "127.0.0.1:7802") in names.decode_headers(entry.attributes, names.HTTP_REQUEST_HEADERS)
    assert [(call.attributes[names.HTTP_METHOD], call.attributes["url.full"]) for call in lane.calls] == [
        ("GET", "http://127.0.0.1:7801/users/7?q=a%20b&q2=1&q2=2"),
        ("POST", "http://127.0.0.1:7801/audit"),
        ("GET", "http://127.0.0.1:7801/missing"),
    ]
    assert [call.attributes[names.HTTP_STATUS] for call in lane.calls] == [200, 200, 404]
    assert lane.calls[2].payload(names.HTTP_RESPONSE_BODY) == b'{"error": "no"}'
    assert all(call.parent_id == entry.span_id for call in lane.calls)
    assert entry.start < lane.calls[0].start < lane.calls[0].end <= entry.end


@pytest.mark.parametrize(("name", "calls"), [("fastapi-items.json.gz", 2), ("fastapi-echo.json.gz", 1)])
def test_compressed_cassettes_of_httpx(tmp_path: Path, name: str, calls: int) -> None:
    """1.x compresses with gzip."""
    lane, problems = imported(name, tmp_path)
    assert (len(lane.calls), problems) == (calls, [])
    assert {call.text(names.PLUGIN) for call in lane.calls} == {"httpx"}


def test_what_was_not_kept_is_not_made_up(tmp_path: Path) -> None:
    """A body that 1.x hashed and dropped is absent, and said to be; an error of the client is kept."""
    lane, problems = imported("flask-binary.json", tmp_path)
    assert [one.split(": the body")[0] for one in problems] == [
        "GET http://127.0.0.1:7801/binary",
        "GET http://127.0.0.1:7801/text",
    ]
    assert names.HTTP_RESPONSE_BODY not in lane.calls[0].attributes
    assert lane.calls[0].text(names.IMPORTED_LACKS) == "the body of the response"
    error = json.loads(lane.calls[2].text(names.ERROR) or "")
    assert error["type"] == "requests.exceptions.ConnectionError"
    assert lane.entry is not None
    assert lane.entry.payload(names.HTTP_REQUEST_BODY) == b'{"a":1}'


def test_bodies_are_not_kept_by_default(tmp_path: Path) -> None:
    """1.x keeps the app's response only with TIMETRACER_STORE_RES_BODY=always."""
    lane, problems = imported("flask-users-defaults.json", tmp_path)
    assert problems == ["the body of the response was not kept: --verify compares the rest"]
    assert lane.entry is not None
    assert lane.entry.text(names.INCOMPLETE) == "response"


def test_database_calls_have_no_payload(tmp_path: Path) -> None:
    """They are there to be seen, and cannot answer."""
    lane, problems = imported("flask-mongo.json", tmp_path)
    assert [call.name for call in lane.calls] == [
        "pymongo FIND",
        "pymongo FIND_ONE",
        "pymongo INSERT_ONE",
        "pymongo FIND",
        "pymongo FIND_ONE",
    ]
    assert {call.text(names.PLUGIN) for call in lane.calls} == {None}
    assert {call.text(names.IMPORTED_LACKS) for call in lane.calls} == {"what was sent and received"}
    assert (
        problems[0]
        == "pymongo FIND shop.users: 1.x keeps no documents, rows or values, so a replay misses here (2 times)"
    )


def changed(tmp_path: Path, **parts: Any) -> Path:
    """A cassette with other parts."""
    cassette = json.loads((RECORDED / "flask-users.json").read_text())
    path = tmp_path / "changed.json"
    path.write_text(json.dumps({**cassette, **parts}))
    return path


@pytest.mark.parametrize(
    "parts",
    [
        {"schema_version": "9"},
        {"session": None},
        {"session": {"id": "x", "recorded_at": "yesterday"}},
        {"request": {}},
        {"request": {"method": "GET", "path": 5}},
        {"response": {"status": None}},
        {"response": {"status": 200, "body": "text"}},
        {"events": [{}]},
        {"events": 5},
        {"events": [{"eid": "x", "type": "http.client", "signature": {}, "result": {}}]},
    ],
)
def test_damaged_cassettes_are_refused(tmp_path: Path, parts: dict[str, Any]) -> None:
    """With an error of ours that names the file, whatever is wrong."""
    path = changed(tmp_path, **parts)
    with pytest.raises(CassetteError, match=r"is no whole cassette of timetracer 1\.x") as caught:
        version1.convert(path, known_to_version1())
    assert caught.value.file == str(path)


def test_what_1_x_redacted_is_said(tmp_path: Path) -> None:
    """The hash is of the body that was sent, so it no longer tells the bytes."""
    body = {
        "_captured": True,
        "encoding": "json",
        "data": {"password": "[REDACTED]"},
        "hash": "sha256:00",
        "size_bytes": 9,
    }
    document, problems = version1.convert(
        changed(tmp_path, response={"status": 200, "headers": {}, "body": body}), known_to_version1()
    )
    assert document["resourceSpans"]
    assert problems == ["values were taken out of a body before it was kept: [REDACTED] stands for them"]


def test_an_exception_of_the_app_is_an_event(tmp_path: Path) -> None:
    """As OpenTelemetry records one."""
    info = {"type": "ValueError", "message": "boom", "traceback": "Traceback…"}
    path = changed(tmp_path, error_info=info)
    importing.import_all([str(path)], tmp_path, tmp_path / "to", "none", known_to_version1())
    (lane,) = loading.load((tmp_path / "to").rglob("GET__*")).lanes
    assert lane.entry is not None
    assert lane.entry.status_code == 2
    assert lane.entry.events[0].attributes["exception.message"] == "boom"
