"""The exporter that writes cassettes, alone in an ordinary SDK."""

from __future__ import annotations

# Before any TracerProvider: the SDK's hook in a forked child uses a thread pool, whose lock is free by then only when
# this module's own hook was registered first.
import concurrent.futures.thread  # noqa: F401 - for its hook
import gc
import logging
import multiprocessing
import os
import stat
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Tracer
from opentelemetry.util.types import Attributes

from timetracer_otel import spans as names
from timetracer_otel.cassette import loading, storage
from timetracer_otel.config import Compression
from timetracer_otel.exporters.host import cassette
from timetracer_otel.exporters.host.cassette import CassetteSpanExporter
from timetracer_otel.seams import faults

RESOURCE = Resource({"service.name": "shop"})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the exporter of a test writes; not there yet."""
    return tmp_path / "cassettes"


@pytest.fixture
def batched(directory: Path) -> Iterator[TracerProvider]:
    """A provider that exports when it is flushed."""
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(CassetteSpanExporter(directory), schedule_delay_millis=60_000))
    yield provider
    provider.shutdown()


def at_once(directory: Path, compression: Compression = "none") -> Tracer:
    """A tracer whose spans are exported one by one as they end: children before their roots."""
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(CassetteSpanExporter(directory, compression)))
    return provider.get_tracer("tests")


def request(tracer: Tracer, route: str = "/users") -> None:
    """A request with two calls."""
    attributes = {"http.request.method": "GET", "http.route": route}
    with tracer.start_as_current_span("GET " + route, kind=SpanKind.SERVER, attributes=attributes):
        for name in ("find", "insert"):
            tracer.start_span(name, kind=SpanKind.CLIENT).end()


def files(directory: Path) -> list[str]:
    """The names of the files that were written, without the link to the latest."""
    return sorted(path.name for path in directory.rglob("*.jsonl*") if not path.is_symlink())


def test_a_batch_becomes_one_file_a_trace(directory: Path, batched: TracerProvider) -> None:
    """Named after the entry; the newest is the latest; modes keep others out."""
    for route in ("/users", "/orders/<id>"):
        request(batched.get_tracer("tests"), route)
    batched.force_flush()
    assert [name.rpartition("__")[0] for name in files(directory)] == ["GET__orders-id", "GET__users"]
    (latest,) = loading.load(storage.find(["latest"], directory)).lanes
    assert [span.name for span in latest.spans] == ["GET /orders/<id>", "find", "insert"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*.jsonl")} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_the_resource_names_the_schema(directory: Path, batched: TracerProvider) -> None:
    """Beside the attributes that the app's resource has."""
    request(batched.get_tracer("tests"))
    batched.force_flush()
    (lane,) = loading.load(storage.find(["latest"], directory)).lanes
    assert dict(lane.spans[0].resource) == {"service.name": "shop", names.SCHEMA: names.SCHEMA_VERSION}


def test_what_a_host_hides_is_not_written(directory: Path) -> None:
    """A host may hand on spans whose properties keep something back: those count, not what is beneath them."""

    class Hidden(ReadableSpan):
        @property
        def attributes(self) -> Attributes:
            return MappingProxyType({"card": "hidden"})

    context = SpanContext(1, 2, is_remote=False)
    span = Hidden("pay", context, attributes={"card": "4111"}, resource=RESOURCE)
    assert CassetteSpanExporter(directory).export([span]) is SpanExportResult.SUCCESS
    (lane,) = loading.load(storage.find([str(directory)], directory)).lanes
    assert lane.spans[0].attributes == {"card": "hidden"}


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_later_spans_of_a_trace_join_its_file(directory: Path, compression: Compression) -> None:
    """The root comes last here, so the file has the name of the first span that came."""
    request(at_once(directory, compression))
    (name,) = files(directory)
    assert name.startswith("CLIENT__find__")
    (lane,) = loading.load(storage.find([str(directory)], directory)).lanes
    assert [span.name for span in lane.spans] == ["GET /users", "find", "insert"]
    assert lane.entry is not None


def test_a_recorders_lanes_and_sessions_decide(directory: Path) -> None:
    """Spans that name their lane are kept together across traces; a session has a session's file, never the latest."""
    tracer = at_once(directory)
    session = {names.LANE_ID: "5e55", names.SESSION_ID: "5e55"}
    lane = {names.LANE_ID: "one", names.SESSION_ID: "5e55"}
    for attributes in (session, lane, lane, session):
        tracer.start_span("call", kind=SpanKind.CLIENT, attributes=attributes).end()
    assert [name.split("__")[0] for name in files(directory)] == ["CLIENT", "SESSION"]
    loaded = loading.load(storage.find(["latest"], directory))
    assert [(lane.id, len(lane.spans)) for lane in loaded.lanes] == [("one", 2)]
    assert len(loaded.sessions["5e55"].spans) == 2


def test_memory_of_files_is_bounded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that was forgotten gets a second file, and both load as one lane."""
    monkeypatch.setattr(cassette, "_FILES_KEPT", 2)
    tracer = at_once(directory)
    for lane in ("one", "two", "three", "one"):
        tracer.start_span(lane, attributes={names.LANE_ID: lane}).end()
    assert len(files(directory)) == 4
    loaded = loading.load(storage.find([str(directory)], directory))
    assert sorted((lane.id, len(lane.spans)) for lane in loaded.lanes) == [("one", 2), ("three", 1), ("two", 1)]


def test_a_second_exporter_adds_to_a_file_that_is_there(directory: Path) -> None:
    """A span that is exported twice does not erase what else its file has."""
    provider = TracerProvider(resource=RESOURCE)
    exporter = CassetteSpanExporter(directory)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans = [provider.get_tracer("t").start_span("s")]
    for span in spans:
        span.end()
    assert CassetteSpanExporter(directory).export(spans) is SpanExportResult.SUCCESS  # type: ignore[arg-type] # SDK spans
    (lane,) = loading.load(storage.find([str(directory)], directory)).lanes
    assert len(lane.spans) == 1
    assert len(files(directory)) == 1


def test_a_fault_is_logged_once_and_never_raised(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the directory should be: export fails, the app goes on."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)
    monkeypatch.setattr(faults, "counts", type(faults.counts)())
    (tmp_path / "file").write_bytes(b"")
    exporter = CassetteSpanExporter(tmp_path / "file")
    span = TracerProvider().get_tracer("t").start_span("s")
    span.end()
    with caplog.at_level(logging.WARNING):
        results = [exporter.export([span]) for _ in range(3)]  # type: ignore[list-item] # an SDK span
    assert results == [SpanExportResult.FAILURE] * 3
    assert [record.name for record in caplog.records] == ["timetracer_otel"]
    assert "cannot be written" in caplog.text


def test_one_bad_lane_does_not_lose_the_others(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the batch is written."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)
    tracer = TracerProvider(resource=RESOURCE).get_tracer("t")
    spans = [tracer.start_span(name) for name in ("bad", "good")]
    for span in spans:
        span.end()
    (directory / "day").mkdir(parents=True)
    real = storage.write_whole

    def refuse_bad(path: Path, data: bytes) -> None:
        if "bad" in path.name:
            raise OSError(28, "No space left on device")
        real(path, data)

    monkeypatch.setattr(storage, "write_whole", refuse_bad)
    assert CassetteSpanExporter(directory).export(spans) is SpanExportResult.FAILURE  # type: ignore[arg-type] # SDK spans
    assert [name.split("__")[1] for name in files(directory)] == ["good"]


def test_a_forked_child_exports_even_when_the_lock_was_held(directory: Path) -> None:
    """The thread that held it does not exist in the child."""
    exporter = CassetteSpanExporter(directory)
    span = TracerProvider(resource=RESOURCE).get_tracer("t").start_span("s")
    span.end()

    def child() -> None:
        os._exit(0 if exporter.export([span]) is SpanExportResult.SUCCESS else 1)  # type: ignore[list-item] # an SDK span

    process = multiprocessing.get_context("fork").Process(target=child)
    with exporter._lock:
        process.start()
    process.join(20)
    assert process.exitcode == 0
    assert len(files(directory)) == 1


def test_an_exporter_is_freed_when_nobody_uses_it(directory: Path) -> None:
    """What it registered for forks does not keep it."""
    reference = weakref.ref(CassetteSpanExporter(directory))
    gc.collect()
    assert reference() is None


def test_flushing_and_shutting_down_need_no_work(directory: Path) -> None:
    """Every batch is on disk when its export returns."""
    exporter = CassetteSpanExporter(directory)
    exporter.shutdown()
    assert exporter.force_flush()
    assert not directory.exists()
