"""Payloads of any size pass through the collector as it is configured here, by both protocols."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collector.conftest import Collector
from tests.collector.recording import ask, loaded, serving
from timetracer_otel import spans
from timetracer_otel.cassette.model import Cassette

pytestmark = pytest.mark.system

_SIZES = (0, 1, 100, 10_000, 262_143, 262_144, 262_145, 1_000_000, 5_000_000, 20_000_000)
_MONGO_SIZES = (32, 300_000, 15_000_000)  # a byte alone may stand anywhere
_MANY = 40


def _body(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _bodies(cassette: Cassette, target: str) -> list[tuple[bytes, bytes]]:
    entries = [lane.entry for lane in cassette.lanes if lane.entry is not None]
    return [
        (entry.payload(spans.HTTP_REQUEST_BODY) or b"", entry.payload(spans.HTTP_RESPONSE_BODY) or b"")
        for entry in entries
        if entry.text(spans.HTTP_TARGET) == target
    ]


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_nothing_is_lost(collector: Callable[..., Collector], mongo_uri: str, tmp_path: Path, protocol: str) -> None:
    """Bodies of 0 B to 20 MB, Mongo messages of 15 MB and many spans a batch are all there, byte by byte."""
    one, log = collector(), tmp_path / "app.log"
    with serving({**one.settings(protocol), "MONGODB_URI": mongo_uri}, log) as port:
        for size in _SIZES:
            assert ask(port, "POST", "/echo", _body(size)) == (200, _body(size))
        ask(port, "GET", "/text/3000000")
        for size in _MONGO_SIZES:
            assert ask(port, "POST", f"/blob/{size}", _body(size)) == (200, str(size).encode())
        for _ in range(_MANY):
            ask(port, "POST", "/blob/many", _body(200_000))
    one.stop()
    cassette = loaded([one.files])
    assert sorted(_bodies(cassette, "/echo")) == sorted((_body(size), _body(size)) for size in _SIZES)
    assert _bodies(cassette, "/text/3000000") == [(b"", "é".encode() * 1_500_000)]
    assert len(_bodies(cassette, "/blob/many")) == _MANY
    for size in _MONGO_SIZES:
        lane = next(one for one in cassette.lanes if one.entry and one.entry.text(spans.HTTP_TARGET) == f"/blob/{size}")
        calls = [span for span in lane.spans if span.payload(spans.REQUEST) is not None]
        assert [_body(size) in (call.payload(spans.REQUEST) or b"") for call in calls] == [True, False]
        assert [_body(size) in (call.payload(spans.RESPONSE) or b"") for call in calls] == [False, True]
    said = log.read_text()
    assert "timetracer:" not in said
    assert "RESOURCE_EXHAUSTED" not in said
