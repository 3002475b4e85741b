"""Writing spans as OTLP/JSON, by hand: four times as fast as the official encoder, on the path of every recorded call.

The encoding is that of opentelemetry-proto's trace.proto under the rules of the OTLP specification, section
"JSON Protobuf Encoding": camel-case names, ids in hexadecimal, 64-bit integers as decimal strings, enums as numbers.
A file is one ``TracesData`` a line (specification "OpenTelemetry Protocol File Exporter").

What OTLP cannot hold is written as the nearest thing that every reader loads: a lone surrogate as U+FFFD, an integer
beyond 64 bits as its decimal string, a value nested deeper than protobuf parsers go as its ``repr``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, cast

import pybase64
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from timetracer_otel import redaction
from timetracer_otel.cassette.any_value import Json, any_value, dumps, key_values
from timetracer_otel.spans import (
    DEFLATED,
    Attribute,
    Payload,
    deflated,
    encode_binary,
    encode_payload,
    is_smaller_as_text,
)

__all__ = [
    "attributes_json",
    "binary_json",
    "direct",
    "payload_json",
    "resource_fragment",
    "span_fragment",
    "span_to_dict",
    "text_json",
    "traces_line",
    "unlike_json",
]

HAS_IS_REMOTE: Final = 0x100
IS_REMOTE: Final = 0x200
"""SpanFlags of trace.proto: whether it is known, and true, that the parent is in another process."""


def span_to_dict(span: ReadableSpan, extra: Mapping[str, Attribute] | None = None) -> Json:
    """Give a span as the dict of its OTLP/JSON.

    Args:
        span: an ended span.
        extra: attributes to write besides the span's own; of two with one name, these win.
    """
    # A mapping proxy's own copy() is far faster than dict(): the SDK's mapping locks and looks up each item.
    attributes = cast("MappingProxyType[str, Any]", span.attributes).copy()
    if extra:
        attributes |= extra
    context = span.context
    result: Json = {
        "traceId": f"{context.trace_id:032x}" if context else "",
        "spanId": f"{context.span_id:016x}" if context else "",
        "name": span.name,
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_time or 0),
        "endTimeUnixNano": str(span.end_time or 0),
        "attributes": key_values(attributes),
        "flags": _flags(context, span.parent),
    }
    if span.parent is not None:
        result["parentSpanId"] = f"{span.parent.span_id:016x}"
    if context and context.trace_state:
        result["traceState"] = context.trace_state.to_header()
    _add_details(result, span)
    return result


def span_fragment(span: ReadableSpan, extra: Mapping[str, Attribute] | None = None, encoded: bytes = b"") -> bytes:
    """Give a span encoded, as :func:`traces_line` takes it beside dicts; it holds no objects but its bytes.

    The same as :func:`span_to_dict`, but faster: attributes repeat from span to span, so their encoding is
    kept, and no dict is built for them.

    Args:
        span: an ended span.
        extra: attributes to write besides the span's own; of two with one name, these win.
        encoded: yet more, by :func:`attributes_json` and :func:`binary_json`, of names that neither has.
    """
    name, context, parent, kind, start, end, attributes, events, links, status = _parts_of(span)
    own = getattr(attributes, "_dict", attributes) or {}  # as own_attributes
    if extra:
        joined = b",".join([_encode_attribute(key, value) for key, value in {**own, **extra}.items()])
    else:
        joined = attributes_json(own)
    if encoded:
        joined = joined + b"," + encoded if joined else encoded
    # By place, not by name: the SDK's names are properties of Python.
    flags, details = HAS_IS_REMOTE | context[3] if context is not None else HAS_IS_REMOTE, b""
    if parent is not None and parent[2]:
        flags |= IS_REMOTE
    if (
        events
        or links
        or status.status_code is not _UNSET
        or getattr(attributes, "dropped", 0)
        or (context and context[4])
    ):
        details = _details_json(span)
    return (
        b'{%b%b"name":%b,"kind":%d,"startTimeUnixNano":"%d","endTimeUnixNano":"%d","flags":%d,%b"attributes":[%b]}'
        % (
            b'"traceId":"%032x","spanId":"%016x",' % context[:2] if context is not None else _NO_IDS,
            b'"parentSpanId":"%016x",' % parent[1] if parent is not None else b"",
            _encoded_attributes.get(name) or _encode_name(name),
            _KINDS[kind],
            start or 0,
            end or 0,
            flags,
            details,
            joined,
        )
    )


_parts_of: Final = attrgetter(
    "_name", "_context", "_parent", "_kind", "_start_time", "_end_time", "_attributes", "_events", "_links", "_status"
)
"""Reads all properties of a ReadableSpan at once: each property would cost a call for each recorded span."""
_KINDS: Final = {kind: kind.value + 1 for kind in SpanKind}
_NO_IDS: Final = b'"traceId":"","spanId":"",'
_UNSET: Final = StatusCode.UNSET


def own_attributes(span: ReadableSpan) -> Mapping[str, Any]:
    """Give the attributes of a span to be read: the mapping itself, without the SDK's lock and copy."""
    attributes = getattr(span, "_attributes", None)  # the property makes a proxy that is many times slower
    if attributes is None:  # what a host wraps around its spans has only the properties
        attributes = span.attributes
    return getattr(attributes, "_dict", attributes) or {}


def _flags(context: SpanContext | None, parent: SpanContext | None) -> int:
    # By place, not by name: the SDK's names are properties of Python.
    flags = HAS_IS_REMOTE | context[3] if context is not None else HAS_IS_REMOTE
    return flags | IS_REMOTE if parent is not None and parent[2] else flags


def _details_json(span: ReadableSpan) -> bytes:
    """Give the members that most spans lack, each with a comma behind it."""
    details: Json = {}
    if span.context and span.context.trace_state:
        details["traceState"] = span.context.trace_state.to_header()
    _add_details(details, span)
    return dumps(details)[1:-1] + b"," if details else b""


_encoded_attributes: dict[object, bytes] = {}
"""Encodings of short attributes and of span names; started anew when full."""
_ENCODINGS_KEPT: Final = 4096
_SHORT: Final = 256
_LONG: Final = 2048


def attributes_json(attributes: Mapping[str, Any]) -> bytes:
    """Encode attributes, each but the last with a comma behind it. Those of a database call repeat, so they are kept.

    Args:
        attributes: of a span.
    """
    values = attributes.values()
    try:
        # With the types, because 1, 1.0 and True are equal.
        key = (*attributes, *values, *map(type, values))
        known = _encoded_attributes.get(key)
    except TypeError:  # a nested mapping has no hash
        return b",".join([_encode_attribute(name, value) for name, value in attributes.items()])
    if known is None:
        known = b",".join([_encode_attribute(name, value) for name, value in attributes.items()])
        if len(known) <= _LONG:
            _keep(key, known)
    return known


def payload_json(name: str, payload: Payload) -> bytes:
    """Encode the attributes of :func:`spans.encode_payload`, without the steps between.

    Args:
        name: the payload's.
        payload: the bytes, or a list of chunks.
    """
    data = b"".join(payload) if isinstance(payload, list) else bytes(payload)
    as_text, as_binary = _templates.get(name) or _add_templates(name)
    if is_smaller_as_text(data):
        try:
            return as_text % (dumps(data.decode("utf-8")), len(data))
        except UnicodeDecodeError:
            pass
    return as_binary % (pybase64.b64encode(data), b"base64", len(data))


def binary_json(name: str, payload: Payload) -> bytes:
    """Encode the attributes of :func:`spans.encode_binary`, without the steps between; what can be shorter, shorter.

    Args:
        name: the payload's.
        payload: the bytes, or a list of chunks.
    """
    data = b"".join(payload) if isinstance(payload, list) else payload
    _, template = _templates.get(name) or _add_templates(name)
    shorter = deflated(data) if len(data) >= DEFLATED else None
    if shorter is not None:
        return template % (pybase64.b64encode(shorter), b"zlib+base64", len(data))
    return template % (pybase64.b64encode(data), b"base64", len(data))


def _add_templates(name: str) -> tuple[bytes, bytes]:
    own, codec, size = (dumps(name + ending).replace(b"%", b"%%") for ending in ("", ".codec", ".size"))
    end = b'{"key":%s,"value":{"intValue":"%%d"}}' % size
    as_text = b'{"key":%s,"value":{"stringValue":%%s}},{"key":%s,"value":{"stringValue":"utf-8"}},%s' % (
        own,
        codec,
        end,
    )
    as_binary = b'{"key":%s,"value":{"stringValue":"%%s"}},{"key":%s,"value":{"stringValue":"%%s"}},%s' % (
        own,
        codec,
        end,
    )
    _templates[name] = as_text, as_binary
    return as_text, as_binary


_templates: dict[str, tuple[bytes, bytes]] = {}
"""What payloads are put into by name, as text and as binary; there are a handful."""

direct: Final[dict[Callable[[str, Any], Mapping[str, Attribute]], Callable[[str, Any], bytes]]] = {
    encode_payload: payload_json,
    encode_binary: binary_json,
}
"""By the function that encodes a payload as attributes: the one that gives their JSON at once. Families add theirs."""


def unlike_json(attributes: Mapping[str, Any]) -> bytes:
    """As :func:`attributes_json`, of what is another one with each call: its encoding is not worth keeping.

    Args:
        attributes: such as payloads.
    """
    return b",".join(
        [
            text_json(name, value) if type(value) is str else _encode_attribute(name, value)
            for name, value in attributes.items()
        ]
    )


def text_json(name: str, text: str) -> bytes:
    """Encode an attribute whose text is another one with each call, so that its encoding is not worth keeping.

    Args:
        name: the attribute's.
        text: its value.
    """
    return b'{"key":%s,"value":{"stringValue":%s}}' % (_encode_name(name), dumps(text))


def _encode_attribute(key: str, value: Any) -> bytes:
    kind = type(value)
    if kind is str:
        if len(value) > _SHORT:
            return b'{"key":%s,"value":{"stringValue":%s}}' % (_encode_name(key), dumps(value))
        known = _encoded_attributes.get((key, value))
        return known or _keep((key, value), dumps({"key": key, "value": {"stringValue": value}}))
    if kind is int and -(2**63) <= value < 2**63:
        return b'{"key":%s,"value":{"intValue":"%d"}}' % (_encode_name(key), value)
    return dumps({"key": key, "value": any_value(value, 1)})


def _encode_name(name: str) -> bytes:
    return _encoded_attributes.get(name) or (_keep(name, dumps(name)) if len(name) <= _SHORT else dumps(name))


def _keep(key: object, encoded: bytes) -> bytes:
    if len(_encoded_attributes) >= _ENCODINGS_KEPT:
        _encoded_attributes.clear()
    _encoded_attributes[key] = encoded
    return encoded


def resource_fragment(attributes: Mapping[str, Any]) -> bytes:
    """Give a resource in its encoded form, to be put into every line of :func:`traces_line`.

    The encoding of a mapping is kept, by identity: the mapping must not change afterwards (a ``Resource`` does not).

    Args:
        attributes: the resource's attributes.
    """
    kept = _resources.get(id(attributes))
    if kept is None or kept[0] is not attributes:
        if len(_resources) >= _RESOURCES_KEPT:
            _resources.clear()
        kept = attributes, dumps({"attributes": key_values(attributes)})
        _resources[id(attributes)] = kept
    return kept[1]


def traces_line(resource: bytes, spans: Sequence[tuple[InstrumentationScope | None, Json | bytes]]) -> bytes:
    r"""Give one ``TracesData`` as a line of a cassette, with its ``\n``.

    Args:
        resource: from :func:`resource_fragment`.
        spans: what :func:`span_to_dict` or :func:`span_fragment` gave, each with the scope of its span. The order
            within a scope is kept.
    """
    scopes: dict[InstrumentationScope | None, list[Json | bytes]] = {}
    last: InstrumentationScope | None = None
    group: list[Json | bytes] | None = None
    for scope, span in spans:
        if group is None or scope is not last:
            group = scopes.setdefault(scope, [])
            last = scope
        group.append(span)
    # Put together once: a large lane's bytes would go from one piece of new memory into the next.
    pieces = [b'{"resourceSpans":[{"resource":', resource, b',"scopeSpans":[']
    for number, (scope, found) in enumerate(scopes.items()):
        begins, ends = _around(scope)
        pieces += (b"," * bool(number), begins)
        pieces += _separated([one if isinstance(one, bytes) else dumps(one) for one in found])
        pieces.append(ends)
    pieces.append(b"]}]}\n")
    return b"".join(pieces)


def _separated(found: list[bytes]) -> list[bytes]:
    """Put commas between pieces of JSON."""
    pieces = [b","] * (2 * len(found) - 1)
    pieces[::2] = found
    return pieces


_RESOURCES_KEPT: Final = 16
_resources: dict[int, tuple[Mapping[str, Any], bytes]] = {}


def _add_details(result: Json, span: ReadableSpan) -> None:
    """Add what most spans lack: events, links, a status, counts of what the SDK dropped."""
    if events := span.events:
        result["events"] = [_event(event) for event in events]
    if links := span.links:
        result["links"] = [_link(link) for link in links]
    if (status := span.status).status_code is not StatusCode.UNSET:
        result["status"] = _status(status)
    if span.dropped_attributes:
        result["droppedAttributesCount"] = span.dropped_attributes
    if span.dropped_events:
        result["droppedEventsCount"] = span.dropped_events
    if span.dropped_links:
        result["droppedLinksCount"] = span.dropped_links


def _event(event: Event) -> Json:
    result: Json = {"name": event.name, "timeUnixNano": str(event.timestamp)}
    if event.attributes:
        result["attributes"] = key_values({name: _masked(value) for name, value in event.attributes.items()})
    if event.dropped_attributes:
        result["droppedAttributesCount"] = event.dropped_attributes
    return result


def _masked(value: Any) -> Any:
    """Mask secrets in what instrumentors write down of exceptions: their messages, and lines of traceback."""
    return redaction.text(value) if isinstance(value, str) else value


def _link(link: Link) -> Json:
    context: SpanContext = link.context
    flags = HAS_IS_REMOTE | context.trace_flags
    result: Json = {
        "traceId": f"{context.trace_id:032x}",
        "spanId": f"{context.span_id:016x}",
        "flags": flags | IS_REMOTE if context.is_remote else flags,
    }
    if context.trace_state:
        result["traceState"] = context.trace_state.to_header()
    if link.attributes:
        result["attributes"] = key_values(link.attributes)
    if link.dropped_attributes:
        result["droppedAttributesCount"] = link.dropped_attributes
    return result


def _status(status: Status) -> Json:
    result: Json = {"code": status.status_code.value}
    if status.description:
        result["message"] = redaction.text(status.description)
    return result


def _around(scope: InstrumentationScope | None) -> tuple[bytes, bytes]:
    """What stands before the spans of a scope, and behind them."""
    if scope is None:
        return b'{"scope":{},"spans":[', b"]}"
    described: Json = {"name": scope.name}
    if scope.version:
        described["version"] = scope.version
    if scope.attributes:
        described["attributes"] = key_values(scope.attributes)
    schema = b',"schemaUrl":%b' % dumps(scope.schema_url) if scope.schema_url else b""
    return b'{"scope":%b,"spans":[' % dumps(described), b"]%b}" % schema
