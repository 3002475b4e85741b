"""OTLP as protobuf, turned into the OTLP/JSON of the same message: one reader then serves both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import pybase64
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from timetracer_otel.cassette.any_value import Json, any_value
from timetracer_otel.cassette.decoding import MOST_NAMED, Malformed

__all__ = ["document", "other_signal"]

_IDS: Final = (32, 16)
"""Hexadecimal digits of a trace id and of a span id."""


def document(data: bytes) -> Json:
    """Give a ``TracesData`` or ``ExportTraceServiceRequest``, which are the same on the wire, as OTLP/JSON.

    Args:
        data: the message.

    Raises:
        Malformed: it is no such message.
    """
    try:
        traces = TracesData.FromString(data)
    except DecodeError as error:
        if (signal := other_signal(data)) is not None:
            raise Malformed(_other(signal)) from error
        raise Malformed(
            f"is no OTLP traces in protobuf ({error}): it is damaged, or has text in it that is not UTF-8"
        ) from error
    count = sum(len(group.spans) for entry in traces.resource_spans for group in entry.scope_spans)
    if count > MOST_NAMED:
        raise Malformed(f"holds {count} spans, more than the {MOST_NAMED} that are read of one message: part it")
    made = {"resourceSpans": [_resource_spans(entry) for entry in traces.resource_spans]}
    if not _has_ids(made) and (signal := other_signal(data)) is not None:
        raise Malformed(_other(signal))
    return made


def _other(signal: str) -> str:
    return f"holds OTLP {signal}, and a cassette is OTLP traces: export traces to a file of their own"


def _has_ids(made: Json) -> bool:
    """Whether the first span, if there is one, has ids as long as they must be."""
    groups = (group for entry in made["resourceSpans"] for group in entry["scopeSpans"])
    first = next((span for group in groups for span in group["spans"]), None)
    return first is None or (len(first.get("traceId", "")), len(first.get("spanId", ""))) == _IDS


def other_signal(data: bytes) -> str | None:
    """Say which signal a message holds that is no traces; None when it may be traces.

    The messages of all signals begin alike, and short ones of one parse as another.

    Args:
        data: a message.
    """
    try:
        metrics = MetricsData.FromString(data)
        scopes = [group for entry in metrics.resource_metrics for group in entry.scope_metrics]
        if any(metric.WhichOneof("data") for group in scopes for metric in group.metrics):
            return "metrics"
    except DecodeError:
        pass  # then it is none, and the next is tried
    try:
        logs = LogsData.FromString(data)
    except DecodeError:
        return None
    records = [record for entry in logs.resource_logs for group in entry.scope_logs for record in group.log_records]
    return "logs" if any(record.time_unix_nano or record.observed_time_unix_nano for record in records) else None


def _resource_spans(entry: ResourceSpans) -> Json:
    resource: Json = {"attributes": _pairs(entry.resource.attributes)}
    if entry.resource.dropped_attributes_count:
        resource["droppedAttributesCount"] = entry.resource.dropped_attributes_count
    made: Json = {"resource": resource, "scopeSpans": [_scope_spans(group) for group in entry.scope_spans]}
    if entry.schema_url:
        made["schemaUrl"] = entry.schema_url
    return made


def _scope_spans(group: ScopeSpans) -> Json:
    made: Json = {"scope": _scope(group.scope), "spans": [_span(span) for span in group.spans]}
    if group.schema_url:
        made["schemaUrl"] = group.schema_url
    return made


def _scope(scope: InstrumentationScope) -> Json:
    made: Json = {"name": scope.name, "version": scope.version}
    if scope.attributes:
        made["attributes"] = _pairs(scope.attributes)
    return {name: value for name, value in made.items() if value}


def _span(span: Span) -> Json:
    made: Json = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "parentSpanId": span.parent_span_id.hex(),
        "name": span.name,
        "kind": span.kind,
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _pairs(span.attributes),
        "flags": span.flags,
        "traceState": span.trace_state,
        "droppedAttributesCount": span.dropped_attributes_count,
        "droppedEventsCount": span.dropped_events_count,
        "droppedLinksCount": span.dropped_links_count,
    }
    if span.events:
        made["events"] = [_event(event) for event in span.events]
    if span.links:
        made["links"] = [_link(link) for link in span.links]
    if span.HasField("status"):
        made["status"] = {"code": span.status.code, "message": span.status.message}
    return {name: value for name, value in made.items() if value}


def _event(event: Span.Event) -> Json:
    return {
        "name": event.name,
        "timeUnixNano": str(event.time_unix_nano),
        "attributes": _pairs(event.attributes),
        "droppedAttributesCount": event.dropped_attributes_count,
    }


def _link(link: Span.Link) -> Json:
    return {
        "traceId": link.trace_id.hex(),
        "spanId": link.span_id.hex(),
        "traceState": link.trace_state,
        "attributes": _pairs(link.attributes),
        "droppedAttributesCount": link.dropped_attributes_count,
        "flags": link.flags,
    }


def _pairs(pairs: Iterable[KeyValue]) -> list[Json]:
    return [{"key": pair.key, "value": _value(pair.value)} for pair in pairs]


def _value(value: AnyValue) -> Json:
    field = value.WhichOneof("value")
    return _VALUES[field](value) if field in _VALUES else {}


_VALUES: Final[Mapping[str | None, Callable[[AnyValue], Json]]] = {
    "string_value": lambda value: {"stringValue": value.string_value},
    "int_value": lambda value: {"intValue": str(value.int_value)},
    "bool_value": lambda value: {"boolValue": value.bool_value},
    "double_value": lambda value: any_value(value.double_value, 1),  # not all of them are JSON numbers
    "bytes_value": lambda value: {"bytesValue": pybase64.b64encode_as_string(value.bytes_value)},
    "array_value": lambda value: {"arrayValue": {"values": [_value(item) for item in value.array_value.values]}},
    "kvlist_value": lambda value: {"kvlistValue": {"values": _pairs(value.kvlist_value.values)}},
}
