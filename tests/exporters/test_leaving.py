"""What leaves by the host's exporters: small enough for receivers, bounded in memory, and counted when it is lost."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.util.types import AttributeValue

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.cassette.chunks import fold_chunks
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.reading import read_spans
from timetracer_otel.exporters.host import batches, otlp_sender
from timetracer_otel.exporters.host.backlog import Waiting
from timetracer_otel.exporters.host.outlet import MESSAGE_BYTES, split
from timetracer_otel.exporters.host.span_sizes import span_size

_GRPC_LIMIT = 4 * 1024 * 1024


class Kept(SpanExporter):
    """Keeps copies of what it is given, batch by batch; refuses batches while ``broken``."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "batch.jsonl"
        self.batches: list[list[Span]] = []
        self.sizes: list[int] = []
        self.longest = 0
        self.broken = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep a batch, or refuse it."""
        if self.broken:
            return SpanExportResult.FAILURE
        lines = otlp.traces_line(
            otlp.resource_fragment({}), [(span.instrumentation_scope, otlp.span_to_dict(span)) for span in spans]
        )
        self._file.write_bytes(lines)
        self.batches.append(list(read_spans(self._file)))
        values = [value for span in self.batches[-1] for value in span.attributes.values()]
        self.longest = max([self.longest, *(len(value.encode()) for value in values if isinstance(value, str))])
        self.sizes.append(encode_spans(spans).ByteSize())
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is held."""

    def whole(self) -> list[Span]:
        """All spans, chunks folded."""
        found = {(span.trace_id, span.span_id): span for batch in self.batches for span in batch}
        fold_chunks(found)
        return list(found.values())


Watched = tuple[TracerProvider, Kept, otlp_sender.Leaving]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A provider with a batching exporter, watched by us."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), Kept(tmp_path)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    out, undo = batches.attach(provider)
    yield provider, exporter, out
    undo()
    provider.shutdown()


def _send(watched: Watched, name: str, payload: bytes) -> None:
    provider, _, out = watched
    span = provider.get_tracer("app").start_span(name)
    span.set_attributes(dict(out.lighten(span, spans.encode_payload(spans.RESPONSE, payload))))
    span.end()


_texts = st.text(max_size=40) | st.sampled_from(["é" * 300, "x" * 5000, "😀" * 2000])
_values: st.SearchStrategy[AttributeValue] = (
    _texts | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.lists(_texts, max_size=5)
)


@settings(deadline=None)  # machines may be busy
@given(st.dictionaries(st.text(min_size=1, max_size=20), _values, max_size=20), _texts)
def test_sizes_are_never_too_small(attributes: dict[str, AttributeValue], name: str) -> None:
    """A span takes no more bytes in a message than is reckoned with, and not far less."""
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("app").start_span(name, attributes=attributes)
    span.add_event(name, attributes)
    span.end()
    assert isinstance(span, ReadableSpan)
    size = encode_spans([span]).resource_spans[0].scope_spans[0].ByteSize()
    assert size <= span_size(span) + 30  # of the scope
    assert span_size(span) <= size + 200 + 300 * len(attributes)  # lists of numbers and empty texts are small


@settings(deadline=None)  # machines may be busy
@given(st.lists(st.integers(0, 5000), max_size=30))
def test_batches_are_split_in_order(sizes: list[int]) -> None:
    """Parts keep every span and the order; each is below the limit, or is one span that alone is above it."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("app")
    made = [tracer.start_span("s", attributes={"text": "x" * size}) for size in sizes]
    batch = [span for span in made if isinstance(span, ReadableSpan)]
    parts = list(split(batch, limit=6000))
    assert [span for part in parts for span in part] == batch
    assert all(len(part) == 1 or sum(map(span_size, part)) <= 6000 for part in parts)
    if sum(map(span_size, batch)) <= 6000:
        assert parts[0] is batch


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"x" * otlp_sender.ATTRIBUTE,
        b"x" * (otlp_sender.ATTRIBUTE + 1),
        bytes(range(256)) * 4096,
        "é😀".encode() * 300_000,
        b"\xff" * 20_000_000,
    ],
    ids=["none", "limit", "above", "binary", "text", "20MB"],
)
def test_payloads_of_any_size(watched: Watched, payload: bytes) -> None:
    """A payload comes out as it went in; every message is one that gRPC takes, every attribute one of 256 KiB."""
    _send(watched, "call", payload)
    assert watched[0].force_flush()
    (span,) = watched[1].whole()
    assert span.payload(spans.RESPONSE) == payload
    assert max(watched[1].sizes) < _GRPC_LIMIT
    assert watched[1].longest <= otlp_sender.ATTRIBUTE


def test_many_large_spans(watched: Watched) -> None:
    """A batch of the SDK's that is too large in bytes leaves as several messages, none lost."""
    for number in range(100):
        _send(watched, f"call {number}", b"x" * 200_000)
    assert watched[0].force_flush()
    assert sorted(span.name for span in watched[1].whole()) == sorted(f"call {number}" for number in range(100))
    assert max(watched[1].sizes) <= MESSAGE_BYTES


def test_exporters_send_before_memory_fills(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large spans do not wait until the SDK's queue has its number of spans."""
    monkeypatch.setattr(otlp_sender, "HIGH", 1_000_000)
    exported = threading.Event()
    monkeypatch.setattr(watched[1], "batches", Signalling(exported))
    for _ in range(10):
        _send(watched, "call", b"x" * 200_000)
    assert exported.wait(20)


class Signalling(list[list[Span]]):
    """A list that tells when something is put into it."""

    def __init__(self, put: threading.Event) -> None:
        super().__init__()
        self._put = put

    def append(self, item: list[Span]) -> None:
        """Put, then tell."""
        super().append(item)
        self._put.set()


def test_no_room(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """What would take more memory than there is for it is left out, counted, marked on its span and said once."""
    provider, exporter, _ = watched
    out = otlp_sender.Leaving(provider.get_tracer("t"), Waiting(), lambda: None, budget=1_000_000)
    span = provider.get_tracer("app").start_span("call")
    for size in (2_000_000, 3_000_000):
        assert out.lighten(span, spans.encode_payload(spans.REQUEST, b"x" * size)) == {spans.LOST: True}
    small = spans.encode_payload(spans.REQUEST, b"x" * 100)
    assert out.lighten(span, small) == small
    assert out.left_out == 2
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert exporter.batches == []


def test_losses_are_counted(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """Spans that the exporter refuses are counted; the log says when it begins, when it is over and what it came to."""
    provider, exporter, _ = watched
    for broken in (False, True, True, False):
        exporter.broken = broken
        _send(watched, "call", b"x")
        provider.force_flush()
    provider.shutdown()
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert "1 span(s) were not delivered by" in said[0]
    assert "delivers again, after 2 span(s) were lost" in said[1]
    assert "2 span(s) that the exporter could not deliver" in said[2]


def test_a_span_too_large_names_the_setting(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """Of a span of the host's own that no receiver takes as it is, the log names the setting to raise."""
    provider, exporter, _ = watched
    exporter.broken = True
    provider.get_tracer("app").start_span("query", attributes={"db.query.text": "x" * 5_000_000}).end()
    provider.force_flush()
    assert "max_recv_msg_size_mib" in caplog.text


def test_a_full_queue_is_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Spans that the SDK drops from its full queue are counted when the provider shuts down."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), Kept(tmp_path)
    processor = BatchSpanProcessor(
        exporter, schedule_delay_millis=3_600_000, max_queue_size=10, max_export_batch_size=10
    )
    _, undo = batches.attach(provider)
    provider.add_span_processor(processor)  # later than ours: it is seen with the next span
    processor._batch_processor._worker_awaken.set = lambda: None  # type: ignore[method-assign]  # nothing leaves by itself
    for _ in range(25):
        provider.get_tracer("app").start_span("s").end()
    del processor._batch_processor._worker_awaken.set
    provider.shutdown()
    undo()
    assert sum(map(len, exporter.batches)) == 10
    assert "15 span(s) dropped from a full queue (OTEL_BSP_MAX_QUEUE_SIZE=2048)" in caplog.text


def test_what_is_left_at_the_end_is_counted(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    """Spans that the SDK gives up because the process ends are counted too."""
    provider, _, _ = watched
    processor = next(one for one in provider._active_span_processor._span_processors if hasattr(one, "span_exporter"))
    assert isinstance(processor, BatchSpanProcessor)
    processor._batch_processor._shutdown_timeout_exceeded = True  # as after the 30 s that it waits for its exporter
    for _ in range(3):
        provider.get_tracer("app").start_span("s").end()
    provider.shutdown()
    assert "3 span(s) that were not sent when the process ended" in caplog.text


def test_every_span_is_accounted_for(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that is still under way when the process ends counts as not sent, once."""
    provider, exporter, _ = watched
    ours = next(one for one in provider._active_span_processor._span_processors if isinstance(one, batches.Batches))
    (outlet,) = ours.outlets
    seen: list[int] = []

    def export(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        seen.append(outlet.unsent())
        return Kept.export(exporter, spans)

    monkeypatch.setattr(outlet, "_export", export)
    for _ in range(3):
        provider.get_tracer("app").start_span("s").end()
    provider.force_flush()
    assert (seen, outlet.unsent(), outlet.delivered) == ([3], 0, 3)


def test_the_host_keeps_its_objects(tmp_path: Path) -> None:
    """Exporter and processor stay the host's; after the end of the recording they are as before."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), Kept(tmp_path)
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    _, undo = batches.attach(provider)
    assert processor.span_exporter is exporter
    undo()
    assert "export" not in vars(exporter)
    provider.get_tracer("app").start_span("s").end()
    assert len(exporter.batches) == 1


def test_seeded_draws_stay(watched: Watched) -> None:
    """The spans of chunks draw nothing from the random numbers of the app."""
    import random  # noqa: PLC0415 - the module that an app seeds

    parent = watched[0].get_tracer("app").start_span("call")
    before = random.getstate()
    with trace.use_span(parent):
        watched[2].lighten(parent, spans.encode_payload(spans.REQUEST, b"x" * 3_000_000))
        assert watched[2].drain(20)
    assert random.getstate() == before


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (SpanLimits(max_span_attributes=20), "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"),
        (SpanLimits(max_span_attribute_length=8192), "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        (SpanLimits(max_attribute_length=8192), "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
    ],
)
def test_limits_are_named(limits: SpanLimits, named: str, caplog: pytest.LogCaptureFixture) -> None:
    """A limit of the host's SDK that cuts recordings is named in the log, once."""
    _, undo = batches.attach(TracerProvider(shutdown_on_exit=False, span_limits=limits))
    undo()
    assert [named in record.getMessage() for record in caplog.records] == [True]


def test_limited_attributes_come_whole(tmp_path: Path) -> None:
    """Where attributes are cut at a length, payloads leave in pieces of that length."""
    limits = SpanLimits(max_span_attribute_length=8190)
    provider, exporter = TracerProvider(shutdown_on_exit=False, span_limits=limits), Kept(tmp_path)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    out, undo = batches.attach(provider)
    _send((provider, exporter, out), "call", b"\xff" * 50_000)
    assert provider.force_flush()
    undo()
    (span,) = exporter.whole()
    assert span.payload(spans.RESPONSE) == b"\xff" * 50_000


@pytest.mark.parametrize("body", [b"\xff" * 100_000, "zwölf ✓ ".encode() * 10_000, b"x" * 3])
def test_limited_attributes_of_a_streamed_body_come_whole(tmp_path: Path, body: bytes) -> None:
    """Its pieces are cut before the limit is known; a piece that is longer comes in pieces of its own."""
    limits = SpanLimits(max_span_attribute_length=8190)
    provider, exporter = TracerProvider(shutdown_on_exit=False, span_limits=limits), Kept(tmp_path)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    out, undo = batches.attach(provider)
    call = provider.get_tracer("app").start_span("call")
    for index in range(3):
        place = {spans.PART_OF: spans.RESPONSE, spans.PART_INDEX: index, **spans.encode_payload(spans.RESPONSE, body)}
        assert out.submit(call, partial(iter, [place]), len(body))
    call.set_attribute(spans.RESPONSE + spans.PARTS, 3)
    call.end()
    assert out.drain(20)
    assert provider.force_flush()
    undo()
    (span,) = exporter.whole()
    assert span.payload(spans.RESPONSE) == body * 3
    assert exporter.longest <= 8190


def test_a_forked_child_begins_anew(watched: Watched) -> None:
    """A child of a fork has no losses of its parent's, and sends its own chunks."""
    watched[1].broken = True
    _send(watched, "call", b"x")
    watched[0].force_flush()
    result = _in_child(lambda: _child(watched))
    assert result == b"0 1000000"


def _child(watched: Watched) -> bytes:
    provider, exporter, _ = watched
    exporter.broken = False
    _send(watched, "call", b"x" * 1_000_000)
    provider.force_flush()
    (span,) = exporter.whole()
    ours = next(one for one in provider._active_span_processor._span_processors if isinstance(one, batches.Batches))
    return f"{len(ours.lost())} {len(span.payload(spans.RESPONSE) or b'')}".encode()


def _in_child(work: Callable[[], bytes]) -> bytes:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, work())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="timetracer_otel")
