"""Exporters: spans a second and bytes on disk, ours beside the official ones, with payloads of 100 B, 10 KB and 1 MB.

``python -m benchmarks.exporting`` prints what was measured, ``python -m benchmarks.run exporting`` the ratios. It needs
the collector that ``scripts/install-otelcol`` finds or builds.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from rich.console import Console
from rich.table import Table

from examples.support import Program, free_port
from timetracer_otel import spans
from timetracer_otel.config import Compression
from timetracer_otel.exporters import CassetteSpanExporter
from timetracer_otel.exporters.host import batches
from timetracer_otel.exporters.host.outlet import split

SIZES = (100, 10_000, 1_000_000)
BYTES = 20_000_000
"""Of payloads in one measurement; but never more spans than :data:`MOST`."""
MOST = 5_000
BATCH = 512
ROUNDS = 3
LANES = 10
"""Spans of one trace."""
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Figure:
    """What one exporter did with payloads of one size."""

    spans_s: float
    mb_s: float
    bytes_span: float


def _document(size: int, seed: int) -> bytes:
    """A reply as databases give it: words that repeat, and numbers that do not."""
    draw = random.Random(seed)
    words = [b"name", b"amount", b"order", b"status", b"paid", b"item", b"berlin", b"customer"]
    out = bytearray()
    while len(out) < size:
        out += b'{"%s":"%s","n":%d},' % (draw.choice(words), draw.choice(words), draw.getrandbits(40))
    return bytes(out[:size])


def made(size: int) -> list[ReadableSpan]:
    """Ended spans, each with a payload as calls have it; large ones in chunks, as they leave by OTLP."""
    provider, kept = TracerProvider(shutdown_on_exit=False), _Kept()
    provider.add_span_processor(BatchSpanProcessor(kept, max_queue_size=1_000_000))
    leaving, undo = batches.attach(provider)
    tracer, count = provider.get_tracer("benchmark"), min(MOST, max(LANES, BYTES // size))
    for number in range(0, count, LANES):
        with tracer.start_as_current_span("GET /orders/<order>"):
            for call in range(number, number + LANES):
                span = tracer.start_span("shop.find", attributes={"db.system": "mongodb", "db.namespace": "shop"})
                payload = spans.encode_payload(spans.RESPONSE, _document(size, call))
                span.set_attributes(dict(leaving.lighten(span, payload)))
                span.end()
    provider.force_flush()
    undo()
    provider.shutdown()
    return kept.spans


class _Kept(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep them."""
        self.spans += spans
        return SpanExportResult.SUCCESS


@contextmanager
def collector(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the collector as it is configured here; give its ports of gRPC and HTTP."""
    found = subprocess.run([_ROOT / "scripts" / "install-otelcol"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(found.stderr)
    grpc, http, health = free_port(), free_port(), free_port()
    env = {
        "OTELCOL_GRPC": f"127.0.0.1:{grpc}",
        "OTELCOL_HTTP": f"127.0.0.1:{http}",
        "OTELCOL_HEALTH": f"127.0.0.1:{health}",
        "TIMETRACER_DIR": str(folder / "cassettes"),
    }
    command = [found.stdout.strip(), "--config", str(_ROOT / "otel-collector.yaml")]
    with Program(command, log=folder / "otelcol.log", env=env, cwd=folder) as program:
        program.wait_for_port(grpc)
        program.wait_for_port(http)
        yield grpc, http


def _exporters(folder: Path, grpc: int, http: int) -> dict[str, tuple[Callable[[], SpanExporter], Path]]:
    """What makes each exporter, and where the spans come to lie."""
    (folder / "official").mkdir()
    kept = folder / "cassettes"
    compressions: tuple[Compression, ...] = ("none", "gzip", "zstd")
    return {
        "OTLP file (official)": (lambda: FileSpanExporter(folder / "official" / "out.jsonl"), folder / "official"),
        "OTLP/gRPC to the collector": (lambda: GrpcExporter(endpoint=f"http://127.0.0.1:{grpc}"), kept),
        "OTLP/HTTP to the collector": (lambda: HttpExporter(endpoint=f"http://127.0.0.1:{http}/v1/traces"), kept),
        **{
            f"cassettes, {name}": (partial(CassetteSpanExporter, folder / name, name), folder / name)
            for name in compressions
        },
    }


def _once(exporter: SpanExporter, made_: list[ReadableSpan], folder: Path, size: int) -> Figure:
    before, began = _written(folder), time.perf_counter()
    for start in range(0, len(made_), BATCH):
        for part in split(made_[start : start + BATCH]):
            if exporter.export(part) is not SpanExportResult.SUCCESS:
                raise SystemExit(f"{type(exporter).__module__} failed")
    exporter.force_flush()
    seconds = time.perf_counter() - began
    exporter.shutdown()
    calls = sum(span.name == "shop.find" for span in made_)
    written = _written(folder) - before
    return Figure(len(made_) / seconds, calls * size / 1e6 / seconds, written / calls)


def _written(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def figures() -> dict[str, dict[int, Figure]]:
    """Figures of each exporter by size of payload; the exporters take turns, the median round counts."""
    found: dict[str, dict[int, Figure]] = {}
    for size in SIZES:
        spans_ = made(size)
        rounds: dict[str, list[Figure]] = {}
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory() as name, collector(Path(name)) as (grpc, http):
                for exporter, (make, place) in _exporters(Path(name), grpc, http).items():
                    rounds.setdefault(exporter, []).append(_once(make(), spans_, place, size))
        for exporter, one in rounds.items():
            found.setdefault(exporter, {})[size] = Figure(
                statistics.median(figure.spans_s for figure in one),
                statistics.median(figure.mb_s for figure in one),
                statistics.median(figure.bytes_span for figure in one),
            )
    return found


def on_the_path() -> dict[int, float]:
    """Microseconds that a call pays in the app's thread to leave by OTLP, by size of its payload."""
    provider = TracerProvider(shutdown_on_exit=False)
    leaving, undo = batches.attach(provider)
    tracer, costs = provider.get_tracer("benchmark"), {}
    for size in SIZES:
        payload, seconds = _document(size, 1), []
        for _ in range(100):
            span = tracer.start_span("shop.find")
            began = time.perf_counter()
            span.set_attributes(dict(leaving.lighten(span, spans.encode_binary(spans.RESPONSE, payload))))
            seconds.append(time.perf_counter() - began)
            span.end()
        costs[size] = statistics.median(seconds) * 1e6
    undo()
    return costs


def measure() -> list[tuple[str, float, str]]:
    """Give rows of name, ratio and bound."""
    found = figures()
    official = found.pop("OTLP file (official)")
    return [
        (f"spans/s with {size:,} B, {name} ÷ official OTLP file", one[size].spans_s / official[size].spans_s, "")
        for name, one in found.items()
        for size in SIZES
    ]


def main() -> None:
    """Print every figure."""
    table = Table("exporter", "payload", "spans/s", "MB/s of payload", "bytes on disk per call")
    for name, one in figures().items():
        for size, figure in one.items():
            cells = f"{size:,} B", f"{figure.spans_s:,.0f}", f"{figure.mb_s:,.1f}", f"{figure.bytes_span:,.0f}"
            table.add_row(name, *cells)
    for size, cost in on_the_path().items():
        table.add_row("a call in the app's thread", f"{size:,} B", "", "", f"{cost:,.0f} µs")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
