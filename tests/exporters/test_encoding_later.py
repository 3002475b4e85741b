"""The spans of a lane are encoded many at a time, a little after they have ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from timetracer_otel import seams, spans, testing
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.seams import Call, faults

MANY = 100
"""Spans: some are encoded while the lane is open, and some when it is written."""


def calls(folder: Path) -> list[Span]:
    """The calls of the one lane that was recorded, in order."""
    (lane,) = loading.load(sorted(folder.rglob("GET__*"))).lanes
    return [span for span in lane.spans if spans.PLUGIN in span.attributes]


def record(folder: Path, payloads: list[bytes | bytearray], *, breaks: int = -1) -> list[Call]:
    """Record a request that makes a call with each of the payloads; the app uses its buffers again at once."""
    made = []
    with testing.record(folder):
        runtime = seams.active()
        assert runtime is not None
        lane = runtime.open_lane(Request("GET", "/", []))
        assert lane is not None
        with lane.entered():
            for number, payload in enumerate(payloads):
                call = seams.start("made_up", lambda number=number: (f"call {number}", {}))  # type: ignore[misc]
                assert call is not None
                call.put(spans.REQUEST, payload)
                if number == breaks:
                    call.attributes["broken"] = Broken()  # type: ignore[assignment]
                call.end()
                made.append(call)
                if isinstance(payload, bytearray):
                    payload[:] = b"used again"
        lane.finish(None)
    return made


class Broken:
    """A value that cannot be encoded."""

    def __str__(self) -> str:
        raise RuntimeError("ours")


def test_every_call_is_there_in_order(tmp_path: Path) -> None:
    """With what it was asked, also where that was a buffer of the app's."""
    asked = [str(number).encode() for number in range(MANY)]
    record(tmp_path, [bytearray(one) if number % 3 else one for number, one in enumerate(asked)])
    assert [call.payload(spans.REQUEST) for call in calls(tmp_path)] == asked


def test_large_payloads_do_not_wait_for_many(tmp_path: Path) -> None:
    """More bytes than a lane may hold uncounted are encoded as soon as they are there."""
    made = record(tmp_path, [bytes(40_000)] * 5)
    assert [call.payload(spans.REQUEST) for call in calls(tmp_path)] == [bytes(40_000)] * 5
    assert all(call.written for call in made)


@pytest.mark.parametrize("place", [3, MANY - 1])
def test_what_cannot_be_encoded_is_left_out_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    """A fault of ours loses one call, and is counted; the lane has the others."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)
    before = faults.counts["lane.encode"]
    record(tmp_path, [b"x"] * MANY, breaks=place)
    assert [call.name for call in calls(tmp_path)] == [f"call {n}" for n in range(MANY) if n != place]
    assert faults.counts["lane.encode"] == before + 1
