"""One HTTP exchange as data, and as the attributes of a span."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, TypeAlias

import orjson

from timetracer_otel import encoding, redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError
from timetracer_otel.seams import Headers

__all__ = [
    "Reply",
    "Sent",
    "chunks_attribute",
    "head_attributes",
    "reply_of",
    "request_attributes",
    "sent_attributes",
    "sent_of",
    "syntax_attributes",
]

URL = "url.full"
VERSION = "network.protocol.version"
CHUNKS = "timetracer.http.response.chunks"
"""JSON ``[[microseconds since the response's head, bytes], …]``: how the body arrived, when it came in pieces."""
EFFECTIVE_URL = "timetracer.http.effective_url"
"""Where a client that follows redirects by itself ended up."""
CUT = "timetracer.http.response.cut"
"""Says ``end`` where the peer ended the connection before the end of the body. The library makes its own error of it.
Without :data:`SYNTAX`, ``more N`` says that N bytes of the last chunk are missing, ``new N`` that all of the next
one are."""
SYNTAX = "timetracer.http.response.syntax"
"""JSON list: how the response was written, where most servers write it otherwise. Text stands for itself, ``null`` for
the value of the next header or trailer, a number for so many bytes of the body."""
ARRIVALS = "timetracer.http.response.arrivals"
"""JSON list of numbers: the bytes of head, chunks and body that the connection gave at once."""
CONNECTION_EVENTS = "timetracer.http.connection.events"
"""JSON ``[[name, argument, …], …]``: what the client told the app while it connected, if the app listens."""
SEND_ERROR = "timetracer.http.send.error"
"""JSON of the exception that sending raised, where the client may read a response all the same."""
PHASE = "timetracer.http.error.phase"
"""Where the exchange failed: ``connect``, ``send``, ``head`` (before the response's head) or ``body``."""


Segment: TypeAlias = str | int | None
"""A piece of a response's syntax, see :data:`SYNTAX`."""


@dataclass(slots=True)
class Sent:
    """A request. ``url`` is absolute and exactly as asked; ``complete`` whether all of the body was seen."""

    method: str
    url: str
    headers: Iterable[tuple[str, str]]
    body: bytes = b""
    complete: bool = True

    def header(self, name: str) -> str:
        """The first header of that lower-case name; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")


@dataclass(slots=True)
class Reply:
    """A response as recorded: ``body`` before content decoding, without transfer coding.

    ``pieces`` are the lengths in which the body arrived, ``arrivals`` those of the bytes on the connection, if known;
    ``syntax`` is how it was written, see :data:`SYNTAX`; ``events`` what the client told while it connected. ``error``
    is the JSON of what ended the exchange, ``phase`` where; ``send_error`` that of what sending raised before. ``cut``
    says where the peer ended the body too early. Without a ``status`` there was no response at all. ``refuse`` counts a
    miss, when the app reads further than was recorded. ``gone`` is there when the app left the response open because
    its own client had left, and says whether the live one has. ``wait`` is how many seconds it is to take.
    """

    status: int = 0
    reason: str = ""
    version: str = "1.1"
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    pieces: list[int] = field(default_factory=list)
    trailers: Headers = field(default_factory=list)
    complete: bool = True
    error: str | None = None
    phase: str = ""
    send_error: str | None = None
    cut: str = ""
    syntax: list[Segment] | None = None
    arrivals: list[int] = field(default_factory=list)
    events: list[list[str]] = field(default_factory=list)
    wait: float = field(default=0.0, compare=False)
    refuse: Callable[[str], object] | None = field(default=None, compare=False)
    gone: Callable[[], bool] | None = field(default=None, compare=False)

    def header(self, name: str) -> str:
        """The first header of that lower-case name; empty when there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def chunks(self) -> list[bytes]:
        """The body in the pieces in which it arrived."""
        if sum(self.pieces) != len(self.body):
            return [self.body] if self.body else []
        ends = accumulate(self.pieces, initial=0)
        return [self.body[start:end] for start, end in pairwise(ends) if end > start]


def request_attributes(plugin: str, request: Sent) -> dict[str, spans.Attribute]:
    """Encode a request without its body, redacted."""
    return {
        spans.PLUGIN: plugin,
        spans.HTTP_METHOD: request.method,
        URL: redaction.url(request.url),
        **spans.encode_headers(spans.HTTP_REQUEST_HEADERS, redaction.headers(request.headers)),
    }


def sent_attributes(request: Sent) -> dict[str, spans.Attribute]:
    """Encode a request with its body, redacted, without the name of the integration that sends it."""
    head = request_attributes("", request)
    head.pop(spans.PLUGIN)
    return head | (spans.encode_payload(spans.HTTP_REQUEST_BODY, request.body) if request.body else {})


def head_attributes(
    status: int, reason: str, version: str, headers: Iterable[tuple[str, str]]
) -> dict[str, spans.Attribute]:
    """Encode a response's head, redacted."""
    return {
        spans.HTTP_STATUS_LINE: f"{status} {reason}",
        VERSION: version,
        **spans.encode_headers(spans.HTTP_RESPONSE_HEADERS, redaction.headers(headers)),
    }


def chunks_attribute(chunks: list[tuple[int, int]]) -> dict[str, spans.Attribute]:
    """Encode how a body arrived: microseconds since the head, and bytes, of each piece."""
    return {CHUNKS: encoding.dumps(chunks).decode()}


def syntax_attributes(syntax: list[Segment] | None, arrivals: list[int]) -> dict[str, spans.Attribute]:
    """Encode how a response was written and how it arrived.

    Args:
        syntax: None when most servers write it so.
        arrivals: bytes of each piece.
    """
    attributes: dict[str, spans.Attribute] = {}
    if syntax is not None:
        attributes[SYNTAX] = encoding.dumps([_masked(segment) for segment in syntax]).decode()
    if arrivals:
        attributes[ARRIVALS] = encoding.dumps(arrivals).decode()
    return attributes


def _masked(segment: Segment) -> Segment:
    return redaction.text(segment) if isinstance(segment, str) else segment


def sent_of(recorded: Span) -> Sent | None:
    """Give a recorded request back; None for a span that has none."""
    url, method = recorded.text(URL), recorded.text(spans.HTTP_METHOD)
    if url is None or method is None or spans.HTTP_REQUEST_HEADERS not in recorded.attributes:
        return None
    body = recorded.payload(spans.HTTP_REQUEST_BODY)
    complete = "request" not in (recorded.text(spans.INCOMPLETE) or "")
    headers = spans.decode_headers(recorded.attributes, spans.HTTP_REQUEST_HEADERS)
    return Sent(method, url, headers, body or b"", complete)


def reply_of(recorded: Span) -> Reply:
    """Give a recorded response, or what was raised instead.

    Raises:
        CassetteError: a part of it is damaged.
    """
    reply = Reply(error=recorded.text(spans.ERROR), phase=recorded.text(PHASE) or "")
    reply.complete = "response" not in (recorded.text(spans.INCOMPLETE) or "")
    reply.send_error = recorded.text(SEND_ERROR)
    reply.cut = recorded.text(CUT) or ""
    reply.arrivals = _listed(recorded, ARRIVALS, int)
    reply.events = [list(map(str, event)) for event in _listed(recorded, CONNECTION_EVENTS, list) if event]
    if SYNTAX in recorded.attributes:
        reply.syntax = _listed(recorded, SYNTAX, str | int | None)
        reply.complete = False  # where it ends, its client decided
    line = recorded.text(spans.HTTP_STATUS_LINE)
    if line is None:
        return reply
    status, _, reply.reason = line.partition(" ")
    reply.status = spans.whole_number(status) or 0
    reply.version = str(recorded.attributes.get(VERSION, "1.1"))
    reply.headers = spans.decode_headers(recorded.attributes, spans.HTTP_RESPONSE_HEADERS)
    reply.trailers = spans.decode_headers(recorded.attributes, spans.HTTP_RESPONSE_TRAILERS)
    reply.body = recorded.payload(spans.HTTP_RESPONSE_BODY) or b""
    reply.pieces = _pieces(recorded) or [len(reply.body)]
    return reply


def _pieces(recorded: Span) -> list[int]:
    try:
        return [int(length) for _, length in _listed(recorded, CHUNKS, list)]
    except (ValueError, TypeError) as error:
        raise CassetteError(f"{CHUNKS} is damaged ({error}): record it again") from error


def _listed(recorded: Span, name: str, kind: Any) -> list[Any]:
    try:
        found = orjson.loads(recorded.text(name) or "[]")
        if isinstance(found, list) and all(isinstance(item, kind) for item in found):
            return found
    except ValueError:
        pass
    raise CassetteError(f"{name} is damaged: record it again")
