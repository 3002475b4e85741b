"""What lanes hold stays bounded: large bodies and many spans leave for the disk, and come back whole when read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from timetracer_otel import seams, testing
from timetracer_otel import spans as names
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.model import Span
from timetracer_otel.exporters.lanes.recorder import Recorder
from timetracer_otel.exporters.writing.losses import Tally

PIECE = 100_000
"""Bytes; no whole number of them is a mebibyte."""


def app() -> Flask:
    """Streams, takes, and makes spans."""
    made = Flask(__name__)

    def pieces(count: int) -> Iterator[bytes]:
        for number in range(count):
            yield b"%09d\n" % number + "äöü\n".encode() * (PIECE // 7 - 2)

    def stream(count: int) -> Response:
        return Response(pieces(count))

    def take() -> str:
        digest = hashlib.sha256()
        while piece := request.stream.read(PIECE):
            digest.update(piece)
        return digest.hexdigest()

    def spans(count: int) -> str:
        for number in range(count):
            attributes: dict[str, str | int] = {"number": number, "text": "x" * 1000}
            trace.get_tracer("app").start_span(f"span {number}", kind=SpanKind.CLIENT, attributes=attributes).end()
        return str(count)

    made.add_url_rule("/stream/<int:count>", view_func=stream)
    made.add_url_rule("/take", view_func=take, methods=["POST"])
    made.add_url_rule("/spans/<int:count>", view_func=spans)
    return made


def recorder() -> Recorder:
    """The one at work."""
    found = seams.active()
    assert isinstance(found, Recorder)
    return found


def lane(directory: Path) -> list[Span]:
    """The spans of the one recorded request, its own first."""
    (path,) = [path for path in directory.rglob("*.jsonl*") if path.name[:3] in {"GET", "POS"}]
    (found,) = loading.load_alone([path]).lanes
    return sorted(found.spans, key=lambda span: names.HTTP_TARGET not in span.attributes)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_long_stream_is_not_held(tmp_path: Path, compression: Any) -> None:
    """Its bytes leave for the disk while it runs; the cassette has them all, in one payload."""
    with testing.record(tmp_path, compression=compression):
        response = app().test_client().get("/stream/50", buffered=False)
        body, held = b"", []
        for piece in response.response:
            body += piece if isinstance(piece, bytes) else piece.encode()
            recorder().sink.drain(10)
            held.append(recorder().memory.used)
        response.close()
    assert len(body) > 4_000_000
    assert max(held) < 2 * 1024 * 1024
    entry = lane(tmp_path)[0]
    assert entry.payload(names.HTTP_RESPONSE_BODY) == body
    assert names.INCOMPLETE not in entry.attributes
    assert not list(tmp_path.rglob("*.part"))


def test_a_disk_may_take_a_little_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes less than it was given, as on a disk that is about to be full, loses nothing silently."""
    write = os.write
    with testing.record(tmp_path):
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:50_000]))
        body = app().test_client().get("/stream/30").data
        recorder().sink.drain(10)
        monkeypatch.undo()
    assert lane(tmp_path)[0].payload(names.HTTP_RESPONSE_BODY) == body


def test_a_long_upload_is_not_held(tmp_path: Path) -> None:
    """The same of what the app reads."""
    data = bytes(range(256)) * 20_000
    with testing.record(tmp_path):
        answer = app().test_client().post("/take", data=data)
    assert answer.text == hashlib.sha256(data).hexdigest()
    entry = lane(tmp_path)[0]
    assert entry.payload(names.HTTP_REQUEST_BODY) == data
    assert entry.payload(names.HTTP_RESPONSE_BODY) == answer.data


def test_many_spans_are_not_held(tmp_path: Path) -> None:
    """Three thousand spans of a kilobyte: each is there once."""
    with testing.record(tmp_path):
        app().test_client().get("/spans/3000")
        assert recorder().sink.drain(10)
        assert recorder().memory.used == 0
    numbers = [span.attributes["number"] for span in lane(tmp_path) if "number" in span.attributes]
    assert sorted(map(int, map(str, numbers))) == list(range(3000))


def test_a_lane_above_the_limit_is_dropped_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The app's answer is right; no half of it is written, and it is counted; the next one is recorded."""
    monkeypatch.setattr(
        "timetracer_otel.exporters.lanes.recording_lane.SPILL_BYTES", 1 << 40
    )  # it cannot leave for the disk
    with testing.record(tmp_path, max_memory="1MB"):
        client = app().test_client()
        assert len(client.get("/stream/50").data) > 4_000_000
        tally: Tally = recorder().tally
        assert dict(tally.dropped) == {"memory": 1}
        assert recorder().memory.used == 0
        client.get("/stream/1")
    assert lane(tmp_path)[0].text(names.HTTP_TARGET) == "/stream/1"
    assert not list(tmp_path.rglob("*.part"))


def test_near_the_limit_errors_are_kept(tmp_path: Path) -> None:
    """Of the rest a share that falls with what is left, by the lane's id; each that goes is counted."""
    with testing.record(tmp_path, max_memory="1MB"):
        made = app()
        made.add_url_rule("/fail", view_func=lambda: ("no", 500))
        client = made.test_client()
        assert recorder().memory.take(1024 * 1024 - 2000)
        for _ in range(20):
            client.get("/spans/0")
        client.get("/fail")
        assert recorder().tally.dropped["pressure"] >= 15  # each with a chance of 99.6 %
        recorder().memory.take(2000 - 1024 * 1024)
        client.get("/take")
    lanes = [one for path in tmp_path.rglob("GET*") for one in loading.load_alone([path]).lanes]
    targets = [span.text(names.HTTP_TARGET) for one in lanes for span in one.spans]
    assert "/fail" in targets
    assert "/take" in targets
    (session,) = tmp_path.rglob("SESSION__*")
    assert "timetracer.dropped.reason" in session.read_text()
