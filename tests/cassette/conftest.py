"""Spans and cassettes for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from timetracer_otel import spans as names
from timetracer_otel.cassette import model, otlp, reading, storage
from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError

TRACE = 0x0AF7651916CD43DD8448EB211C80319C
START = 1_700_000_000_000_000_000
COMPRESSIONS: list[Compression] = ["none", "gzip", "zstd"]


def a_span(  # noqa: PLR0913 - stands in for a constructor with twice as many
    span_id: int = 1,
    *,
    trace_id: int = TRACE,
    parent: int | None = None,
    name: str = "GET /",
    kind: SpanKind = SpanKind.INTERNAL,
    start: int = START,
    attributes: Mapping[str, Any] | None = None,
    resource: Mapping[str, Any] | None = None,
    events: Sequence[Event] = (),
    links: Sequence[Link] = (),
    status: Status | None = None,
    remote: bool = False,
) -> ReadableSpan:
    """An ended span that lasted a millisecond."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    return ReadableSpan(
        name=name,
        context=SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags),
        parent=None if parent is None else SpanContext(trace_id, parent, is_remote=remote, trace_flags=flags),
        resource=Resource(dict(resource or {})),
        attributes=dict(attributes or {}),
        kind=kind,
        events=events,
        links=links,
        status=status or Status(),
        start_time=start,
        end_time=start + 1_000_000,
        instrumentation_scope=InstrumentationScope("tests", "1.0"),
    )


def lines(spans: Iterable[ReadableSpan]) -> bytes:
    """The spans as cassette lines, one line a span."""
    return b"".join(
        otlp.traces_line(
            otlp.resource_fragment(span.resource.attributes), [(span.instrumentation_scope, otlp.span_to_dict(span))]
        )
        for span in spans
    )


def write(path: Path, *spans: ReadableSpan, compression: Compression = "none") -> Path:
    """Write spans as a cassette."""
    storage.write_whole(path, storage.compress(lines(spans), compression))
    return path


def read_data(path: Path, data: bytes) -> list[model.Span]:
    """Read the spans of a file that holds just this."""
    path.write_bytes(data)
    return list(reading.read_spans(path))


def lane_of(lane_id: str, session_id: str = "5e55") -> dict[str, str]:
    """The attributes that put a span into a lane."""
    return {names.LANE_ID: lane_id, names.SESSION_ID: session_id}


def session_span(session_id: str, parent: str | None = None, span_id: int = 0x5E) -> ReadableSpan:
    """A span of a session, whose process was started by that of another session."""
    resource = {names.SESSION_ID: session_id} | ({names.SESSION_PARENT_ID: parent} if parent else {})
    return a_span(span_id, attributes={names.LANE_ID: session_id}, resource=resource, start=START - 1)


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that property tests write again and again."""
    return tmp_path_factory.mktemp("properties") / "file"


scalars: st.SearchStrategy[Any] = (
    st.text()
    | st.text(st.characters(categories=["Cs", "Ll", "So"]), max_size=5)  # with lone surrogates
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.binary(max_size=50)
    | st.none()
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1), inner, max_size=4),
    max_leaves=8,
)
attributes_strategy = st.dictionaries(st.text(min_size=1, max_size=20), values, max_size=8)


def as_read(value: Any) -> Any:
    """What a value is after writing and reading: the same, but for strings that UTF-8 cannot hold."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, (list, tuple)):
        return [as_read(item) for item in value]
    if isinstance(value, Mapping):
        return {as_read(key): as_read(item) for key, item in value.items()}
    return value


VALID = lines(
    [
        a_span(
            1,
            parent=2,
            kind=SpanKind.SERVER,
            attributes={"s": "ü", "i": 5, "f": 0.5, "b": b"x", "l": [1, {"k": None}], "t": True},
            resource={"service.name": "shop"},
            events=[Event("e", {"k": "v"}, START)],
            links=[Link(SpanContext(5, 6, is_remote=False), {"k": "v"})],
            status=Status(StatusCode.ERROR, "why"),
        ),
        a_span(2, resource={"service.name": "shop"}),
    ]
)


def one_span(**fields: Any) -> bytes:
    """A line with one minimal span that has these fields besides."""
    span = {"traceId": f"{TRACE:032x}", "spanId": "00000000000000ab", **fields}
    return orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})


def refusal(path: Path, data: bytes) -> CassetteError:
    """The error that reading a file of this content raises."""
    with pytest.raises(CassetteError) as caught:
        read_data(path, data)
    assert caught.value.file == str(path)
    assert str(path) in str(caught.value)
    return caught.value


def with_attribute(value: object) -> bytes:
    """A line whose span has the attribute ``k`` of this AnyValue."""
    return one_span(attributes=[{"key": "k", "value": value}])
