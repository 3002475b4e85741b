"""Files of the OpenTelemetry Collector's exporters: JSON or protobuf, lines or lengths, compressed or not, rotated."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from tests.cassette.conftest import (
    START,
    a_span,
    attributes_strategy,
    lane_of,
    lines,
    read_data,
    refusal,
    session_span,
)
from timetracer_otel import spans as names
from timetracer_otel.cassette import files, loading, reading, shelf, storage
from timetracer_otel.errors import CassetteError

SPANS = [
    a_span(
        1,
        parent=2,
        kind=SpanKind.SERVER,
        attributes={"s": "ü", "i": 5, "f": 0.5, "nan": float("inf"), "b": b"x", "l": [1, {"k": None}], "t": True},
        resource={"service.name": "shop"},
        events=[Event("e", {"k": "v"}, START)],
        links=[Link(SpanContext(5, 6, is_remote=False), {"k": "v"})],
        status=Status(StatusCode.ERROR, "why"),
    ),
    a_span(2, resource={"service.name": "shop"}),
]


def proto(*spans: ReadableSpan) -> bytes:
    """The spans as one protobuf message, encoded by OpenTelemetry."""
    return encode_spans(spans).SerializeToString()


def framed(*messages: bytes) -> bytes:
    """Messages behind their lengths, as exportMessageAsBuffer of the file exporter writes them."""
    return b"".join(struct.pack(">I", len(message)) + message for message in messages)


def zstd(data: bytes) -> bytes:
    """One frame, without its content's size, as the collector's streaming encoder leaves it out."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(data)


def written(spans: list[ReadableSpan]) -> dict[str, bytes]:
    """The spans, a message each, in every form that an exporter of the collector writes."""
    json_messages, proto_messages = [lines([span]) for span in spans], [proto(span) for span in spans]
    return {
        "format: json": b"".join(json_messages),
        "format: proto": framed(*proto_messages),
        "json, compression: zstd": framed(*[zstd(message.strip()) for message in json_messages]),
        "proto, compression: zstd": framed(*[zstd(message) for message in proto_messages]),
        "json, native zstd": b"".join(map(zstd, json_messages)),
        "proto, native zstd": zstd(framed(*proto_messages)),
        "proto, gzip by hand": gzip.compress(framed(*proto_messages)),
        "object storage, otlp_proto": proto(*spans),
        "object storage, otlp_proto, gzip": gzip.compress(proto(*spans)),
    }


@pytest.mark.parametrize("form", list(written([])))
def test_every_form_gives_the_same_spans(tmp_path: Path, form: str) -> None:
    """Whatever the file is called: its content tells."""
    expected = read_data(tmp_path / "expected", lines(SPANS))
    assert read_data(tmp_path / "any.name", written(SPANS)[form]) == expected


@given(attributes=attributes_strategy)
def test_json_and_protobuf_give_equal_values_of_equal_types(scratch: Path, attributes: dict[str, Any]) -> None:
    """Any attributes that UTF-8 can hold, written by our encoder and by OpenTelemetry's."""
    if not encodable(attributes):
        return
    span = a_span(3, attributes=attributes, resource={"r": 1})
    json_spans = read_data(scratch, lines([span]))
    proto_spans = read_data(scratch, framed(proto(span)))
    assert proto_spans == json_spans
    assert typed(proto_spans[0].attributes) == typed(json_spans[0].attributes)


def encodable(value: Any) -> bool:
    """Whether protobuf can hold it: no lone surrogates."""
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(encodable(key) and encodable(item) for key, item in value.items())
    return all(map(encodable, value)) if isinstance(value, list) else True


def typed(value: Any) -> Any:
    """A value with the types of all its parts."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    return [typed(item) for item in value] if isinstance(value, list) else (type(value), repr(value))


def test_no_length_is_taken_for_text(tmp_path: Path) -> None:
    """Protobuf begins with the byte of a line end, and then a length, which may be that of a bracket."""
    for length in range(200):
        span = a_span(1, name="n" * length)
        assert [one.name for one in read_data(tmp_path / "f", proto(span))] == [span.name]
        assert [one.name for one in read_data(tmp_path / "f", framed(proto(span), proto(span)))] == [span.name] * 2


@pytest.mark.parametrize("space", [b"\n", b" ", b"\r\n\r\n", b"\t\n" * 40])
def test_white_space_before_json_is_nothing(tmp_path: Path, space: bytes) -> None:
    """As a line that is empty."""
    assert len(read_data(tmp_path / "f", space + lines(SPANS))) == 2


def test_empty_messages_are_passed_over(tmp_path: Path) -> None:
    """A batch without spans is an empty protobuf message, of length 0."""
    assert len(read_data(tmp_path / "f", framed(b"", proto(*SPANS), b"", b""))) == 2


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (framed(proto(*SPANS)) + b"\0\0", "message 2, at byte {end}: is cut short, it has 2 of the 4 bytes"),
        (framed(proto(*SPANS)) + framed(proto(*SPANS))[:-1], "message 2, at byte {end}: is cut short"),
        (
            framed(proto(*SPANS)) + b"\xff\xff\xff\xff" + proto(*SPANS),
            "message 2, at byte {end}: says that it is 42949",
        ),
        (b"\xff\xff\xff\xff" + proto(*SPANS), "message 1, at byte 0: says that it is 4294967295 bytes long"),
        (b"\x1f\xff\xff\xff" + proto(*SPANS), "message 1, at byte 0: is cut short"),
        (framed(proto(*SPANS), b"\x0a\x05\xff\xff"), "message 2, at byte {end}: is no OTLP traces in protobuf"),
        (framed(zstd(proto(*SPANS))[:-3]), "message 1, at byte 0: the compressed data is damaged or ends early"),
        (framed(zstd(b"junk")), "message 1, at byte 0: is no OTLP traces in protobuf"),
        (framed(b'{"resourceSpans": 1}'), "message 1, at byte 0: resourceSpans is 1, not a list"),
        (framed(b'{"resourceSpans": ['), "message 1, at byte 0: the line is cut short"),
        (proto(*SPANS)[:-1], "message 1, at byte 0: is no OTLP traces in protobuf"),
        (zstandard.ZstdCompressor().compress(framed(proto(*SPANS)))[:-1], "damaged or ends early"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "is binary"),
    ],
)
def test_what_is_damaged_is_refused_with_its_place(tmp_path: Path, data: bytes, cause: str) -> None:
    """A message is named by its number and where it begins."""
    assert cause.format(end=len(framed(proto(*SPANS)))) in str(refusal(tmp_path / "f", data))


def test_spans_before_the_damage_are_given_first(tmp_path: Path) -> None:
    """Reading streams: so an import can take what is whole."""
    (tmp_path / "f").write_bytes(framed(proto(SPANS[0]), proto(SPANS[1]))[:-1])
    spans = reading.read_spans(tmp_path / "f")
    assert next(spans).name == "GET /"
    with pytest.raises(CassetteError, match="message 2"):
        next(spans)


@pytest.mark.parametrize("bomb", [lambda zeros: framed(zstd(zeros)), zstd, gzip.compress])
def test_a_bomb_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: Callable[[bytes], bytes]
) -> None:
    """What unpacks to more than a message may be long is refused."""
    monkeypatch.setattr(files, "MAX_MESSAGE", 1000)
    assert "longer than 1000 bytes" in str(refusal(tmp_path / "f", bomb(b" " * 1_000_000)))


def metrics() -> bytes:
    """Metrics in protobuf, which begin as traces do."""
    data = MetricsData()
    metric = data.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    metric.gauge.data_points.add(as_int=5, time_unix_nano=START)
    return data.SerializeToString()


def logs() -> bytes:
    """Logs in protobuf."""
    data = LogsData()
    record = data.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START)
    record.body.string_value = "hello"
    return data.SerializeToString()


@pytest.mark.parametrize(("data", "signal"), [(metrics(), "metrics"), (logs(), "logs")])
def test_other_signals_are_named(tmp_path: Path, data: bytes, signal: str) -> None:
    """A user who named the wrong file is told which it is."""
    assert f"holds OTLP {signal}" in str(refusal(tmp_path / "f", framed(data)))
    assert f"holds OTLP {signal}" in str(refusal(tmp_path / "f", data))


def test_text_that_is_not_utf_8_is_refused_with_its_cause(tmp_path: Path) -> None:
    """Protobuf refuses the whole message."""
    data = proto(a_span(1, name="NAME")).replace(b"NAME", b"\xff\xfe\xfd\xfc")
    assert "not UTF-8" in str(refusal(tmp_path / "f", framed(data)))


def test_a_directory_means_what_holds_traces(tmp_path: Path) -> None:
    """Rotated files of any name; never other signals, reports, lists, empty or hidden files."""
    line = lines(SPANS)
    cassettes = {
        "a.jsonl": line,
        "traces-2026-11-21T10-00-00.000.json": line,
        "traces-2026-11-21T11-00-00.000-size.json": line,
        "traces.json": b" \n" + line,
        "t.proto": framed(proto(*SPANS)),
        "t.binpb.gz": gzip.compress(proto(*SPANS)),
        "t.zst": zstd(line),
        "telemetry": framed(zstd(line.strip())),
        "cut.proto": framed(proto(*SPANS))[:-1],
        "damaged.jsonl": b"damaged",
    }
    others = {
        "metrics.json": b'{"resourceMetrics": []}',
        "metrics.jsonl": b'{"resourceMetrics": []}',
        "metrics.proto": framed(metrics()),
        "logs.proto": framed(logs()),
        "logs.binpb": logs(),
        "report.json": b'{"exit_status": 0}',
        "list.json": b"[]",
        "timetracer-ignore.toml": b"[[ignore]]",
        "empty.jsonl": b"",
        "traces-new.json": b"",
        "x.jsonl.part": line,
        ".hidden.jsonl": line,
        "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(60),
        "notes.md": b"# resourceSpans",
        "old.json": b'{\n  "schema_version": "1.0"}',
    }
    for name, data in {**cassettes, **others}.items():
        (tmp_path / name).write_bytes(data)
    assert [path.name for path in storage.find([str(tmp_path)], tmp_path)] == sorted(cassettes)


def test_metrics_that_parse_as_traces_are_told_apart(tmp_path: Path) -> None:
    """A metric's name then stands where a trace id does."""
    data = MetricsData()
    data.resource_metrics.add().scope_metrics.add().metrics.add(name="requests").gauge.SetInParent()
    assert len(TracesData.FromString(data.SerializeToString()).resource_spans) == 1
    assert "holds OTLP metrics" in str(refusal(tmp_path / "f", framed(data.SerializeToString())))


def lane(number: int, *, at: int = 0) -> list[ReadableSpan]:
    """The spans of a lane, in the order of their ends: the entry last, and what completes it before it."""
    ids = lane_of(f"lane-{number}")
    first = number * 100
    entry = {names.HTTP_METHOD: "GET", "http.route": "/users", **ids}
    seen = {
        names.PART: "entry",
        names.HTTP_TARGET: f"/users?id={number}",
        **names.encode_headers(names.HTTP_REQUEST_HEADERS, [("Cookie", f"s={number}")]),
        **names.encode_payload(names.HTTP_REQUEST_BODY, b"x" * number),
        **ids,
    }
    start = START + number * 1000 + at
    return [
        a_span(first + 2, trace_id=number, parent=first, attributes=seen, start=start + 2),
        a_span(first + 1, trace_id=number, parent=first, kind=SpanKind.CLIENT, attributes=ids, start=start + 1),
        a_span(
            first,
            trace_id=number,
            kind=SpanKind.SERVER,
            attributes=entry,
            resource={"service.name": "shop"},
            start=start,
        ),
    ]


@pytest.fixture(params=["json", "proto"])
def rotated(tmp_path: Path, request: pytest.FixtureRequest) -> list[Path]:
    """Three lanes over three files: parts in files before their entries, spans out of order and twice, a session."""
    spans = [lane(1), lane(2), lane(3)]
    session = session_span("5e55")
    contents = [
        [spans[2][0], spans[0][0], spans[1][1], spans[0][0]],
        [spans[0][2], spans[1][0], spans[2][1], session],
        [spans[2][2], spans[1][2], spans[0][1], spans[1][1]],
    ]
    paths = []
    for number, content in enumerate(contents):
        path = tmp_path / f"traces-{number}.json"
        path.write_bytes(lines(content) if request.param == "json" else framed(*[proto(span) for span in content]))
        paths.append(path)
    return paths


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_lanes_over_several_files_are_outlined_whole(rotated: list[Path], order: tuple[int, ...]) -> None:
    """Whatever the order of the files: the entry's part may come long before the entry."""
    found = shelf.catalog([rotated[number] for number in order])
    assert [(one.name, one.route, one.group, one.has_body, one.calls) for one in found.lanes] == [
        (f"GET /users?id={number}", "/users", f"s={number}", True, 1) for number in (1, 2, 3)
    ]
    assert [one.id for one in found.sessions] == ["5e55"]
    assert {len(one.files) for one in found.lanes} == {3}


def test_lanes_over_several_files_are_read_whole(rotated: list[Path]) -> None:
    """Each alone, from what the catalog put aside, as loading everything at once gives it."""
    own, everything = shelf.Shelf.of(rotated), loading.load(rotated)
    for number in (3, 1, 2):
        mine, theirs = own.lane(f"lane-{number}"), everything.lane(f"lane-{number}")
        assert mine is not None
        assert theirs is not None
        assert mine.spans == theirs.spans
        assert len(mine.spans) == 2
        assert mine.entry is not None
        assert mine.entry.payload(names.HTTP_REQUEST_BODY) == b"x" * number
    assert list(own.sessions) == list(everything.sessions) == ["5e55"]


def test_lanes_taken_apart_outlive_the_files(rotated: list[Path], tmp_path: Path) -> None:
    """A replayed program reads them through the catalog that the launcher wrote."""
    found = shelf.catalog(rotated)
    found.write(tmp_path / "catalog")
    for path in rotated:
        path.unlink()
    again = shelf.Shelf(shelf.read_catalog(tmp_path / "catalog"))
    assert [lane.id for lane in again.lanes] == ["lane-1", "lane-2", "lane-3"]


def test_a_lane_in_its_own_file_and_in_a_collectors(rotated: list[Path], tmp_path: Path) -> None:
    """Both are read; a span that is in both counts once."""
    own_file = tmp_path / "own.jsonl"
    own_file.write_bytes(lines(lane(2)))
    found = shelf.Shelf.of([own_file, *rotated])
    read = found.lane("lane-2")
    assert read is not None
    assert len(read.spans) == 2
    assert [one.calls for one in found.catalog.lanes] == [1, 1, 1]
