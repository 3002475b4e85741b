"""The HTTP exchanges of a lane, those that it served and those that it asked for: what HAR and 1.x cassettes hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.cassette.urls import split

__all__ = ["Exchange", "all_of", "of_call", "of_entry"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its response. Secrets are placeholders.

    Attributes:
        span: that holds it.
        method: of the request.
        url: likewise, in full.
        status: of the response; 0 when none came.
        request_headers: in order.
        response_headers: likewise.
        request: the body that was sent; None when it is not known.
        response: likewise, received.
    """

    span: Span
    method: str
    url: str
    status: int
    request_headers: list[tuple[str, str]]
    response_headers: list[tuple[str, str]]
    request: bytes | None
    response: bytes | None

    @property
    def duration_ms(self) -> float:
        """Milliseconds until all of it had happened."""
        return max(self.span.over - self.span.start, 0) / 1e6

    @property
    def reason(self) -> str:
        """The reason phrase; empty where there is none."""
        return (self.span.text(spans.HTTP_STATUS_LINE) or "").partition(" ")[2]

    @property
    def version(self) -> str:
        """Of HTTP, such as ``1.1``."""
        return self.span.text("network.protocol.version") or "1.1"


def of_entry(lane: Lane) -> Exchange | None:
    """Give what a lane served; None when that was no request of HTTP.

    Args:
        lane: as loaded.

    Raises:
        CassetteError: a payload was cut.
    """
    entry = lane.entry
    if entry is None or spans.HTTP_METHOD not in entry.attributes:
        return None
    headers = _headers(entry, spans.HTTP_REQUEST_HEADERS)
    host = next((value for name, value in headers if name.lower() == "host"), "localhost")
    scheme = entry.text("url.scheme") or "http"
    return _exchange(entry, f"{scheme}://{host}{entry.text(spans.HTTP_TARGET) or '/'}")


def of_call(span: Span) -> Exchange | None:
    """Give what a call asked for by HTTP; None of another call.

    Args:
        span: of the call.

    Raises:
        CassetteError: a payload was cut.
    """
    url = span.text("url.full")
    if not span.is_call or url is None or spans.HTTP_METHOD not in span.attributes:
        return None
    return _exchange(span, url)


def _exchange(span: Span, url: str) -> Exchange:
    status = span.attributes.get(spans.HTTP_STATUS)
    line = (span.text(spans.HTTP_STATUS_LINE) or "").partition(" ")[0]
    return Exchange(
        span=span,
        method=span.text(spans.HTTP_METHOD) or "GET",
        url=redaction.placeholders(split(url).geturl()),
        status=status if isinstance(status, int) else int(line) if line.isdecimal() else 0,
        request_headers=_headers(span, spans.HTTP_REQUEST_HEADERS),
        response_headers=_headers(span, spans.HTTP_RESPONSE_HEADERS),
        request=span.payload(spans.HTTP_REQUEST_BODY),
        response=span.payload(spans.HTTP_RESPONSE_BODY),
    )


def _headers(span: Span, name: str) -> list[tuple[str, str]]:
    return [(key, redaction.placeholders(value)) for key, value in spans.decode_headers(span.attributes, name)]


def all_of(lane: Lane) -> Iterator[Exchange]:
    """Give what a lane served, then what it asked for, in order of start.

    Args:
        lane: as loaded.

    Raises:
        CassetteError: a payload was cut.
    """
    if (served := of_entry(lane)) is not None:
        yield served
    for call in lane.calls:
        if (asked := of_call(call)) is not None:
            yield asked
