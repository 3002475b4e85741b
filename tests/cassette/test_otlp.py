"""Writing spans as OTLP/JSON."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from tests.cassette.conftest import START, TRACE, a_span, as_read, attributes_strategy, lines, read_data
from timetracer_otel.cassette import otlp
from timetracer_otel.spans import encode_payload

HEX_TRACE = f"{TRACE:032x}"
IDS = ("traceId", "spanId", "parentSpanId")


def rich_span() -> ReadableSpan:
    """A span that has everything a span can have."""
    other = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "1")]))
    return a_span(
        0x1F,
        parent=0x2F,
        remote=True,
        name="näme",
        kind=SpanKind.CLIENT,
        attributes={
            "text": "ü",
            "empty": "",
            "int": -5,
            "zero": 0,
            "big": 2**62,
            "true": True,
            "false": False,
            "float": 1.5,
            "nan": math.nan,
            "inf": -math.inf,
            "bytes": b"\x00\xff",
            "list": ["a", 1, None, [True]],
            "map": {"k": {"deep": 2}},
            "none": None,
        },
        resource={"service.name": "shop", "process.pid": 7},
        events=[Event("exception", {"exception.type": "E"}, START + 5), Event("bare", None, START)],
        links=[Link(other, {"why": "because"}), Link(SpanContext(9, 10, is_remote=False))],
        status=Status(StatusCode.ERROR, "it broke"),
    )


def parsed(line: bytes) -> TracesData:
    """A line in the official classes; protobuf's own JSON has ids in base64, OTLP's in hexadecimal."""
    document = orjson.loads(line)
    _ids_to_base64(document)
    return json_format.Parse(orjson.dumps(document), TracesData())


def _ids_to_base64(node: Any) -> None:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in IDS:
                node[key] = base64.b64encode(bytes.fromhex(value)).decode()
            else:
                _ids_to_base64(value)
    elif isinstance(node, list):
        for item in node:
            _ids_to_base64(item)


def only_remote_flags(span: Span) -> None:
    """Drop the W3C flags and the links' trace state, which the official encoder leaves out; have a status."""
    span.flags &= 0x300
    for link in span.links:
        link.flags &= 0x300
        link.trace_state = ""
    span.status.SetInParent()


def test_a_span_becomes_the_dict_of_its_otlp_json() -> None:
    """Ids are hexadecimal, times decimal strings, enums numbers; what is absent is left out."""
    assert otlp.span_to_dict(a_span(0xAB, attributes={"a": "b"})) == {
        "traceId": HEX_TRACE,
        "spanId": "00000000000000ab",
        "name": "GET /",
        "kind": 1,
        "startTimeUnixNano": "1700000000000000000",
        "endTimeUnixNano": "1700000000001000000",
        "attributes": [{"key": "a", "value": {"stringValue": "b"}}],
        "flags": 0x101,
    }


def test_attributes_are_typed() -> None:
    """Each Python type becomes its AnyValue: integers as decimal strings, bytes as base64, None as an empty value."""
    written = {pair["key"]: pair["value"] for pair in otlp.span_to_dict(rich_span())["attributes"]}
    assert written["int"] == {"intValue": "-5"}
    assert written["true"] == {"boolValue": True}
    assert written["float"] == {"doubleValue": 1.5}
    assert written["nan"] == {"doubleValue": "NaN"}
    assert written["inf"] == {"doubleValue": "-Infinity"}
    assert written["bytes"] == {"bytesValue": "AP8="}
    assert written["none"] == {}
    assert written["list"]["arrayValue"]["values"][:3] == [{"stringValue": "a"}, {"intValue": "1"}, {}]
    assert written["map"]["kvlistValue"]["values"][0]["key"] == "k"


def test_events_links_status_and_flags_are_written() -> None:
    """A remote parent shows in the flags; links have their own trace state and attributes."""
    written = otlp.span_to_dict(rich_span())
    assert written["flags"] == 0x301
    assert written["parentSpanId"] == "000000000000002f"
    assert written["status"] == {"code": 2, "message": "it broke"}
    assert written["events"][0]["timeUnixNano"] == str(START + 5)
    assert written["links"][0]["traceState"] == "a=1"
    assert written["links"][0]["flags"] == 0x301


def test_extra_attributes_win_over_the_spans_own() -> None:
    """Of two attributes with one name only the extra one is written."""
    written = otlp.span_to_dict(a_span(attributes={"a": 1, "b": 2}), {"b": 3, "c": ["x"]})
    assert {pair["key"]: pair["value"] for pair in written["attributes"]} == {
        "a": {"intValue": "1"},
        "b": {"intValue": "3"},
        "c": {"arrayValue": {"values": [{"stringValue": "x"}]}},
    }


def test_extra_attributes_leave_the_span_alone() -> None:
    """The span's other exporters do not see what is added for the cassette."""
    span = a_span(attributes={"a": 1})
    otlp.span_to_dict(span, {"b": 2})
    assert dict(span.attributes or {}) == {"a": 1}


def test_what_the_sdk_dropped_is_counted() -> None:
    """Dropped attributes, events and links are written as counts."""
    limits = SpanLimits(max_span_attributes=1, max_events=1, max_links=1)
    context = SpanContext(1, 2, is_remote=False)
    tracer = TracerProvider(span_limits=limits).get_tracer("t")
    span = tracer.start_span("s", attributes={"a": 1, "b": 2}, links=[Link(context)] * 3)
    span.add_event("one")
    span.add_event("two")
    span.end()
    assert isinstance(span, ReadableSpan)
    written = otlp.span_to_dict(span)
    counts = [written[f"dropped{what}Count"] for what in ("Attributes", "Events", "Links")]
    assert counts == [1, 1, 2]


def test_a_line_is_what_the_official_encoder_makes() -> None:
    """The official protobuf classes read a line as the same message that the official encoder builds of the spans."""
    spans = [rich_span(), a_span(3, attributes={"x": "y"}, resource={"service.name": "shop", "process.pid": 7})]
    resource = otlp.resource_fragment(spans[0].resource.attributes)
    line = otlp.traces_line(resource, [(span.instrumentation_scope, otlp.span_to_dict(span)) for span in spans])
    ours = parsed(line).resource_spans[0]
    official = encode_spans(spans).resource_spans[0]
    for spans_of in (*ours.scope_spans, *official.scope_spans):
        for span in spans_of.spans:
            only_remote_flags(span)
    # NaN equals nothing, so the comparison is of the printed messages.
    assert str(ours) == str(official)


def test_a_line_ends_with_the_only_newline() -> None:
    """Newlines within values are escaped: a line stays one line."""
    line = lines([a_span(name="a\nb", attributes={"x\n": "\r\n\u2028"})])
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1


def test_spans_are_grouped_by_scope() -> None:
    """Scopes stand in order of their first span, spans in their own order, equal scopes together."""
    first, again = (
        InstrumentationScope("a", "1", "https://schema", {"k": 1}),
        InstrumentationScope("a", "1", "https://schema", {"k": 1}),
    )
    spans: list[tuple[InstrumentationScope | None, Any]] = [
        (first, {"n": 1}),
        (None, {"n": 2}),
        (again, {"n": 3}),
        (first, {"n": 4}),
    ]
    written = orjson.loads(otlp.traces_line(otlp.resource_fragment({}), spans))["resourceSpans"][0]["scopeSpans"]
    scope = {"name": "a", "version": "1", "attributes": [{"key": "k", "value": {"intValue": "1"}}]}
    assert written == [
        {"scope": scope, "spans": [{"n": 1}, {"n": 3}, {"n": 4}], "schemaUrl": "https://schema"},
        {"scope": {}, "spans": [{"n": 2}]},
    ]


def test_a_resource_is_encoded_once() -> None:
    """The same mapping gives the same fragment; another, even an equal one, its own."""
    attributes = Resource({"service.name": "x"}).attributes
    assert otlp.resource_fragment(attributes) is otlp.resource_fragment(attributes)
    for number in range(40):  # more than are kept
        line = otlp.traces_line(otlp.resource_fragment({"n": number}), [])
        assert orjson.loads(line)["resourceSpans"][0]["resource"]["attributes"][0]["value"] == {"intValue": str(number)}


@pytest.mark.parametrize("where", ["name", "key", "value", "nested", "resource", "scope", "event"])
def test_a_lone_surrogate_is_written_as_the_replacement_character(where: str, tmp_path: Path) -> None:
    """A string that UTF-8 cannot hold does not lose the span, wherever it stands; the line is valid UTF-8."""
    bad = "a\ud800b"
    by_place: dict[str, dict[str, Any]] = {"key": {bad: "v"}, "value": {"k": bad}, "nested": {"k": [{"l": bad}]}}
    attributes = by_place.get(where)
    span = a_span(
        name=bad if where == "name" else "n",
        attributes=attributes,
        resource={"k": bad if where == "resource" else ""},
        events=[Event(bad if where == "event" else "e", None, START)],
    )
    scope = InstrumentationScope(bad if where == "scope" else "s")
    line = otlp.traces_line(otlp.resource_fragment(span.resource.attributes), [(scope, otlp.span_to_dict(span))])
    assert "a\ufffdb" in line.decode("utf-8")
    assert parsed(line).resource_spans
    assert len(read_data(tmp_path / "f", line)) == 1


def test_a_surrogate_pair_is_joined() -> None:
    """Two surrogates that make a character are that character."""
    assert "\U0001f600" in lines([a_span(name="\ud83d\ude00")]).decode("utf-8")


@pytest.mark.parametrize(("number", "value"), [(2**63 - 1, "intValue"), (-(2**63), "intValue"), (2**63, "stringValue")])
def test_an_integer_beyond_64_bits_is_written_as_text(number: int, value: str) -> None:
    """OTLP has no such integer, and readers refuse the whole line over it."""
    assert otlp.span_to_dict(a_span(attributes={"n": number}))["attributes"][0]["value"] == {value: str(number)}


def test_a_value_nested_too_deeply_is_cut_to_text() -> None:
    """However deep a value is, the official classes still read the line."""
    value: Any = "bottom"
    for _ in range(60):
        value = {"k": [value]}
    line = lines([a_span(attributes={"deep": value})])
    assert "bottom" in line.decode()
    assert parsed(line).resource_spans[0].scope_spans[0].spans[0].attributes[0].key == "deep"


def test_subclasses_and_strangers_are_written() -> None:
    """Subclasses count as their base, any sequence as a list, anything else as its text: nothing raises."""

    class Name(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "changed"

    extra: dict[str, Any] = {
        "s": Name("x"),
        "i": type("I", (int,), {})(3),
        "t": (1,),
        "c": 1 + 2j,
        "b": bytearray(b"a"),
    }
    written = {pair["key"]: pair["value"] for pair in otlp.span_to_dict(a_span(), extra)["attributes"]}
    assert written == {
        "s": {"stringValue": "x"},
        "i": {"intValue": "3"},
        "t": {"arrayValue": {"values": [{"intValue": "1"}]}},
        "c": {"stringValue": "(1+2j)"},
        "b": {"bytesValue": "YQ=="},
    }


@given(attributes=attributes_strategy, resource=attributes_strategy)
def test_any_attributes_are_read_as_they_were_written(
    scratch: Path, attributes: dict[str, Any], resource: dict[str, Any]
) -> None:
    """Attributes of spans, events, links and resources come back with their types."""
    event = Event("e", attributes, START)
    link = Link(SpanContext(1, 2, is_remote=False), attributes)
    (span,) = read_data(
        scratch, lines([a_span(attributes=attributes, resource=resource, events=[event], links=[link])])
    )
    expected = as_read(attributes)
    assert span.attributes == expected
    assert span.events[0].attributes == expected
    assert span.links[0].attributes == expected
    assert span.resource == as_read(resource)
    assert [type(value) for value in span.attributes.values()] == [type(value) for value in expected.values()]


@given(attributes=attributes_strategy)
def test_the_official_classes_read_any_attributes(attributes: dict[str, Any]) -> None:
    """Whatever the attributes, a line parses as TracesData."""
    (pair,) = (
        parsed(lines([a_span(attributes={"all": attributes})])).resource_spans[0].scope_spans[0].spans[0].attributes
    )
    assert pair.key == "all"


@given(attributes=attributes_strategy, extra=attributes_strategy, parent=st.none() | st.integers(1, 2**64 - 1))
def test_a_spans_fragment_holds_what_its_dict_holds(
    attributes: dict[str, Any], extra: dict[str, Any], parent: int | None
) -> None:
    """The fast way and the plain one write the same, and no kept encoding is taken for another's."""
    for span in (a_span(2**64 - 1, parent=parent, attributes=attributes), rich_span()):
        lines_of = [
            otlp.traces_line(otlp.resource_fragment({}), [(None, encode(span, extra))])
            for encode in (otlp.span_to_dict, otlp.span_fragment, otlp.span_fragment)
        ]
        plain, *fast = map(orjson.loads, lines_of)
        assert fast == [plain, plain]


@given(
    name=st.sampled_from(["timetracer.request", "100% %s"]), payload=st.one_of(st.binary(), st.text().map(str.encode))
)
def test_a_payloads_json_is_that_of_its_attributes(name: str, payload: bytes) -> None:
    """Whether it is written as text or as binary, in one piece or in several."""
    for form in (payload, [payload[:3], payload[3:]], bytearray(payload)):
        written = orjson.loads(b"[%b]" % otlp.payload_json(name, form))
        assert written == orjson.loads(b"[%b]" % otlp.attributes_json(encode_payload(name, form)))


@pytest.mark.parametrize("text", ["", 'qu"ote', "x" * 5000, "\ud800"])
def test_a_texts_json_is_that_of_its_attribute(text: str) -> None:
    """However long it is, and with a lone surrogate in it."""
    assert orjson.loads(otlp.text_json("a", text)) == orjson.loads(otlp.attributes_json({"a": text}))


def test_what_is_not_worth_keeping_is_encoded_alike() -> None:
    """Attributes of every type, in order."""
    attributes = {"text": "ü", "number": 7, "large": 2**70, "yes": True, "half": 0.5, "list": ["a", "b"]}
    assert otlp.unlike_json(attributes) == otlp.attributes_json(attributes)
