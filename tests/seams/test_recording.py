"""One recording of a call: on whose span it stands, and how it ends."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from timetracer_otel import seams, spans, testing
from timetracer_otel.cassette import loading
from timetracer_otel.cassette.model import Kind, Span
from timetracer_otel.exporters.lanes.lean_span import LeanSpan
from timetracer_otel.seams import Call, faults
from timetracer_otel.seams.tracing import take_out

NAME = "httpx"
SCOPE = "opentelemetry.instrumentation.httpx"


def begin(kind: SpanKind = SpanKind.CLIENT) -> Call:
    """Begin a call where something is recorded."""
    call = seams.begin(NAME, lambda: ("asked", {"peer": "p"}), kind)
    assert call is not None
    return call


def calls(folder: Path) -> list[Span]:
    """The calls that were recorded."""
    (session,) = loading.load(sorted(folder.rglob("SESSION__*"))).sessions.values()
    return [span for span in session.spans if span.kind in {Kind.CLIENT, Kind.PRODUCER}]


@pytest.mark.parametrize(("kind", "recorded"), [(SpanKind.CLIENT, Kind.CLIENT), (SpanKind.PRODUCER, Kind.PRODUCER)])
def test_a_span_is_started_where_no_instrumentor_did(tmp_path: Path, kind: SpanKind, recorded: Kind) -> None:
    """Of the right kind, named and described by the seam; it ends with the call."""
    with testing.record(tmp_path):
        call = begin(kind)
        call.put(spans.REQUEST, b"what")
        assert call.own
        assert call.span.is_recording()
        call.end()
        assert not call.span.is_recording()
    (span,) = calls(tmp_path)
    assert (span.name, span.kind, span.text("peer")) == ("asked", recorded, "p")
    assert (span.text(spans.PLUGIN), span.payload(spans.REQUEST)) == (NAME, b"what")


def test_the_instrumentors_span_is_adopted_once(tmp_path: Path) -> None:
    """The next call in that context is not it, and it is the instrumentor who ends it."""
    with testing.record(tmp_path):
        span = trace.get_tracer(SCOPE).start_span("theirs", kind=SpanKind.CLIENT)
        first, second = begin(), begin()
        assert first.span is span
        assert second.span is not span
        for call in (first, second):
            call.put(spans.REQUEST, b"x")
            call.end()
        assert span.is_recording()
        span.end()
    assert sorted(one.name for one in calls(tmp_path)) == ["asked", "theirs"]


@pytest.mark.parametrize("scope", ["opentelemetry.instrumentation.redis", "app"])
def test_another_librarys_span_is_not_adopted(tmp_path: Path, scope: str) -> None:
    """Only scopes count that the integration declares."""
    with testing.record(tmp_path):
        span = trace.get_tracer(scope).start_span("theirs", kind=SpanKind.CLIENT)
        call = begin()
        assert call.span is not span
        call.end()
        span.end()


def test_nothing_begins_where_nothing_is_recorded(tmp_path: Path) -> None:
    """Without a recording, and of a library that is switched off."""
    assert seams.begin(NAME, lambda: ("asked", {})) is None
    with testing.record(tmp_path):
        seams.switched_off.add(NAME)
        assert seams.begin(NAME, lambda: ("asked", {})) is None


@pytest.mark.parametrize(("error", "status"), [(OSError("no"), 2), (asyncio.CancelledError(), 0)])
def test_a_failure_is_kept(tmp_path: Path, error: BaseException, status: int) -> None:
    """As the exception that it was; that the app gave up waiting is no error of a span of ours."""
    with testing.record(tmp_path):
        call = begin()
        call.fail(error)
        call.end()
    (span,) = calls(tmp_path)
    assert type(error).__name__ in str(span.text(spans.ERROR))
    assert span.status_code == status


class Passing:
    """A payload that is still passing."""

    def catch_up(self) -> None:
        """Nothing waits."""

    def abandoned(self) -> None:
        """Nothing is lost."""


def test_what_completes_after_the_instrumentors_span_is_folded_back(tmp_path: Path) -> None:
    """A stream is read to its end when the span has long been ended."""
    with testing.record(tmp_path):
        span = trace.get_tracer(SCOPE).start_span("theirs", kind=SpanKind.CLIENT)
        call = begin()
        call.under_way = Passing()
        span.end()
        call.put(spans.RESPONSE, b"late")
        call.end()
    (recorded,) = calls(tmp_path)
    assert recorded.payload(spans.RESPONSE) == b"late"


def test_a_fault_of_ours_loses_the_call_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The span ends all the same, the fault is counted, and nothing is raised into the app."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)
    before = faults.counts["made-up.place"]
    with testing.record(tmp_path):
        call = begin()
        call.put(spans.REQUEST, b"what")
        call.lose("made-up.place", RuntimeError("ours"))
        assert not call.span.is_recording()

        def broken() -> tuple[str, dict[str, spans.Attribute]]:
            raise RuntimeError("ours")

        assert seams.begin(NAME, broken) is None
    assert faults.counts["made-up.place"] == before + 1
    (span,) = calls(tmp_path)
    assert span.attributes[spans.LOST] is True


def kept(folder: Path, name: str) -> dict[str, Any]:
    """The one recorded span of a name, as the file has it, without what differs from span to span."""
    lines = [json.loads(line) for path in folder.rglob("SESSION__*") for line in path.read_text().splitlines()]
    scopes = [scope for line in lines for resource in line["resourceSpans"] for scope in resource["scopeSpans"]]
    (found,) = [{**span, "scope": one["scope"]} for one in scopes for span in one["spans"] if span["name"] == name]
    ids = ("traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano")
    found["attributes"] = [one for one in found["attributes"] if one["key"] != spans.LANE_ID]
    return {key: value for key, value in found.items() if key not in ids}


@pytest.mark.parametrize("parent", [None, SpanKind.INTERNAL])
def test_a_span_that_only_we_hear_is_as_the_sdks(tmp_path: Path, parent: SpanKind | None) -> None:
    """Where an exporter of the host's hears of it too the SDK makes it, with the same in the file."""
    found = []
    for number, others in enumerate([(), (InMemorySpanExporter(),)]):
        with testing.record(tmp_path / str(number)):
            provider = trace.get_tracer_provider()
            assert isinstance(provider, TracerProvider)
            added = [SimpleSpanProcessor(exporter) for exporter in others]
            for processor in added:
                provider.add_span_processor(processor)
            with trace.get_tracer("app").start_as_current_span("outer") if parent else nullcontext():
                call = begin()
                assert (type(call.span) is LeanSpan) is not bool(others)
                call.put(spans.REQUEST, b"what")
                call.span.set_attributes({"more": 1})
                call.span.add_event("happened", {"at": "noon"}, timestamp=5)
                call.fail(OSError("no"))
                call.end()
            take_out(provider, added.__contains__)
        assert [len(exporter.get_finished_spans()) for exporter in others] == [2 if parent else 1 for _ in others]
        one = kept(tmp_path / str(number), "asked")
        assert bool(one.pop("parentSpanId", "")) == bool(parent)
        found.append(one)
    assert found[0] == found[1]
    assert found[0]["events"][0]["name"] == "happened"


@pytest.mark.parametrize("flags", [TraceFlags.SAMPLED, TraceFlags.DEFAULT])
def test_a_span_is_sampled_as_its_parent_is(tmp_path: Path, flags: int) -> None:
    """And has its state of the trace."""
    state = TraceState([("vendor", "7")])
    parent = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(flags), trace_state=state)
    with testing.record(tmp_path), trace.use_span(trace.NonRecordingSpan(parent)):
        context = begin().span.get_span_context()
    assert context is not None
    assert (context.trace_id, context.trace_flags, context.trace_state) == (1, flags, state)


def test_an_ended_span_takes_no_more(tmp_path: Path) -> None:
    """As every span of the SDK's; to end it again does nothing."""
    with testing.record(tmp_path):
        call = begin()
        call.end()
        call.span.end()
        call.span.set_attribute("late", 1)
    assert "late" not in calls(tmp_path)[0].attributes


@pytest.mark.parametrize(
    "payload",
    [b"bytes", [b"a", b"list"], bytearray(b"buffer"), memoryview(b"view")],
    ids=["bytes", "chunks", "buffer", "view"],
)
def test_a_call_that_has_ended_does_not_change(tmp_path: Path, payload: Any) -> None:
    """What may be a buffer of the app's is copied; what is still on its way is not settled, nor is a large buffer."""
    with testing.record(tmp_path):
        call = begin()
        call.put(spans.REQUEST, payload)
        assert call.settle()
        if isinstance(payload, bytearray):
            payload[:] = b"used again"
        assert call.encoded()[spans.REQUEST] in {"bytes", "alist", "buffer", "view"}
        call.under_way = Passing()
        assert not call.settle()
        call.put(spans.RESPONSE, bytearray(100_000))
        call.end()
        assert not call.settle()
