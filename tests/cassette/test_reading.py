"""Reading OTLP/JSON files of anybody, and refusing what is none."""

from __future__ import annotations

import base64
import gzip
import json
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from google.protobuf import json_format
from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from tests.cassette.conftest import (
    COMPRESSIONS,
    START,
    TRACE,
    VALID,
    a_span,
    lines,
    one_span,
    read_data,
    refusal,
    with_attribute,
)
from timetracer_otel.cassette import reading, storage
from timetracer_otel.cassette.model import Kind, Scope, Span
from timetracer_otel.config import Compression


def test_a_span_comes_back_whole(tmp_path: Path) -> None:
    """Everything that the model holds is read."""
    span, other = read_data(tmp_path / "f", VALID)
    assert (span.trace_id, span.span_id, span.parent_id) == (f"{TRACE:032x}", "0" * 15 + "1", "0" * 15 + "2")
    assert (span.name, span.kind, span.start, span.end) == ("GET /", Kind.SERVER, START, START + 1_000_000)
    assert span.attributes == {"s": "ü", "i": 5, "f": 0.5, "b": b"x", "l": [1, {"k": None}], "t": True}
    assert span.scope == Scope("tests", "1.0")
    assert (span.status_code, span.status_message) == (2, "why")
    assert (span.events[0].name, span.events[0].time, span.events[0].attributes) == ("e", START, {"k": "v"})
    assert (span.links[0].trace_id, span.links[0].attributes) == (f"{5:032x}", {"k": "v"})
    assert other.parent_id is None


def test_equal_resources_are_one_object(tmp_path: Path) -> None:
    """Every line repeats the resource; in memory it stands once, and nobody can change it."""
    span, other = read_data(tmp_path / "f", VALID)
    assert span.resource is other.resource
    assert dict(span.resource) == {"service.name": "shop"}
    assert not hasattr(span.resource, "__setitem__")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compression_is_told_by_content(tmp_path: Path, compression: Compression) -> None:
    """The name says nothing; several gzip members and zstd frames read as one file."""
    data = storage.compress(VALID, compression)
    assert len(read_data(tmp_path / "anything.txt", data + data)) == 4


def test_what_other_programs_compressed_is_read(tmp_path: Path) -> None:
    """Zero padding behind gzip, skippable frames of zstd, frames without a size: all within the formats."""
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(VALID)
    metadata = struct.pack("<II", 0x184D2A57, 3) + b"abc"
    assert len(read_data(tmp_path / "a", gzip.compress(VALID) + bytes(512))) == 2
    assert len(read_data(tmp_path / "b", metadata + frame + metadata + frame)) == 4


def test_empty_lines_and_a_missing_last_newline_are_fine(tmp_path: Path) -> None:
    """JSON Lines allows both, and CRLF does no harm."""
    assert len(read_data(tmp_path / "f", b"\n\r\n" + VALID.replace(b"\n", b"\r\n\n") + b"  \n" + VALID.rstrip())) == 4


def test_an_empty_file_has_no_spans(tmp_path: Path) -> None:
    """No line, no span; nor has an empty TracesData any."""
    assert read_data(tmp_path / "f", b"") == []
    assert read_data(tmp_path / "f", b'{}\n{"resourceSpans":[]}\n{"resourceSpans":null}') == []


def test_the_original_proto_names_are_read(tmp_path: Path) -> None:
    """Protobuf's JSON mapping lets a writer keep snake_case."""
    value = {"array_value": {"values": [{"int_value": "1"}, {"kvlist_value": {"values": []}}, {"bytes_value": "eA=="}]}}
    span = {
        "trace_id": "0A" * 16,
        "span_id": "0B" * 8,
        "parent_span_id": "0C" * 8,
        "trace_state": "a=1",
        "start_time_unix_nano": 1,
        "end_time_unix_nano": "2",
        "attributes": [{"key": "k", "value": value}, {"key": "d", "value": {"double_value": 1}}],
        "events": [{"time_unix_nano": 3}],
        "links": [{"trace_id": "0a" * 16, "span_id": "0b" * 8}],
    }
    line = orjson.dumps({"resource_spans": [{"resource": {}, "scope_spans": [{"scope": {}, "spans": [span]}]}]})
    (read,) = read_data(tmp_path / "f", line)
    assert (read.trace_id, read.span_id, read.parent_id, read.trace_state) == ("0a" * 16, "0b" * 8, "0c" * 8, "a=1")
    assert (read.start, read.end, read.events[0].time) == (1, 2, 3)
    assert read.attributes == {"k": [1, {}, b"x"], "d": 1.0}


def test_protobufs_own_json_of_a_line_is_read_but_for_its_ids(tmp_path: Path) -> None:
    """MessageToJson writes enums by name; its base64 ids are refused, with a word on why."""
    document = orjson.loads(VALID.splitlines()[1])
    document["resourceSpans"][0]["scopeSpans"][0]["spans"][0] |= {
        "traceId": base64.b64encode(bytes(range(16))).decode(),
        "spanId": base64.b64encode(bytes(range(8))).decode(),
        "kind": 3,
        "status": {"code": 1},
    }
    message = json_format.ParseDict(document, TracesData())
    for keep in (True, False):
        printed = json_format.MessageToDict(message, preserving_proto_field_name=keep)
        error = refusal(tmp_path / "f", json.dumps(printed).encode())
        assert "base64 is protobuf's own JSON" in str(error)
    span = printed["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert (span["kind"], span["status"]) == ("SPAN_KIND_CLIENT", {"code": "STATUS_CODE_OK"})
    span |= {"traceId": f"{TRACE:032x}", "spanId": "00000000000000ab"}
    (read,) = read_data(tmp_path / "f", json.dumps(printed).encode())
    assert (read.kind, read.status_code) == (Kind.CLIENT, 1)


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"startTimeUnixNano": 2**64 - 1}, "start", 2**64 - 1),
        ({"startTimeUnixNano": 1e3}, "start", 1000),
        ({"startTimeUnixNano": None}, "start", 0),
        ({"kind": 77}, "kind", Kind.UNSPECIFIED),
        ({"kind": "SPAN_KIND_PRODUCER"}, "kind", Kind.PRODUCER),
        ({"status": {"code": 9}}, "status_code", 0),
        ({"status": None, "events": None, "attributes": None}, "attributes", {}),
        ({"parentSpanId": ""}, "parent_id", None),
        ({"parentSpanId": "0" * 16}, "parent_id", None),
        ({"futureField": {"x": [1]}, "droppedEventsCount": 3}, "name", ""),
    ],
)
def test_whatever_protobufs_json_mapping_allows_is_read(
    tmp_path: Path, fields: dict[str, Any], name: str, expected: object
) -> None:
    """Numbers as strings or numbers, null for absent, open enums, unknown fields."""
    (span,) = read_data(tmp_path / "f", one_span(**fields))
    assert getattr(span, name) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"intValue": 7}, 7),
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"doubleValue": 3}, 3.0),
        ({"doubleValue": "-Infinity"}, float("-inf")),
        ({"doubleValue": "1e3"}, 1000.0),
        ({"bytesValue": "_-8"}, b"\xff\xef"),
        ({"bytesValue": ""}, b""),
        ({"stringValue": ""}, ""),
        ({"stringValue": None}, None),
        ({"futureValue": 1}, None),
        ({"arrayValue": {}}, []),
        ({"arrayValue": {"values": [None, {}]}}, [None, None]),
        ({"kvlistValue": {}}, {}),
        ({}, None),
        (None, None),
    ],
)
def test_every_spelling_of_a_value_is_read(tmp_path: Path, value: object, expected: object) -> None:
    """URL-safe base64, numbers in either form, empty containers, values of a newer OTLP."""
    (span,) = read_data(tmp_path / "f", with_attribute(value))
    assert span.attributes == {"k": expected}
    assert type(span.attributes["k"]) is type(expected)


def test_an_escaped_lone_surrogate_becomes_the_replacement_character(tmp_path: Path) -> None:
    """Writers that escape everything write such; a whole pair stays its character."""
    line = one_span(name="NAME").replace(b"NAME", b"a\\ud800b\\ud83d\\ude00")
    (span,) = read_data(tmp_path / "f", line)
    assert span.name == "a\ufffdb\U0001f600"


def test_the_official_file_exporters_output_reads_the_same(tmp_path: Path) -> None:
    """What opentelemetry-exporter-otlp-json-file writes of some spans gives the same spans as what we write."""
    values: list[Any] = [0, False, "", b"", [], {}, None, 1.5, float("inf"), -(2**63), 2**63 - 1, "ü\n"]
    values += [["x", [b"y", {"z": None}]]]
    attributes = {"": 1, "a\ud800": "\ud800"} | {f"k{number}": value for number, value in enumerate(values)}
    events = [Event("e", {"k": 0}, START)]
    links = [Link(SpanContext(5, 6, is_remote=False), {"k": [True]})]
    spans = [
        a_span(1, parent=2, kind=SpanKind.CONSUMER, attributes=attributes, status=Status(StatusCode.OK), events=events),
        a_span(2, links=links, resource={"a": ["b"]}),
    ]
    official = tmp_path / "official.jsonl"
    exporter = FileSpanExporter(path=official)
    exporter.export(spans)
    exporter.shutdown()

    def by_id(read: list[Span]) -> dict[str, Span]:
        return {span.span_id: span for span in read}

    assert by_id(list(reading.read_spans(official))) == by_id(read_data(tmp_path / "ours", lines(spans)))
