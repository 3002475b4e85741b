"""An incoming HTTP request as an entry's seam sees it, and the response as far as it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from opentelemetry.trace import SpanKind

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.kinds import Texts
from timetracer_otel.seams import exceptions
from timetracer_otel.seams.entries import Headers, Message

__all__ = ["SERVER_ERROR", "Left", "Request", "Response", "texts"]

SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Left:
    """A client's leaving before the end.

    Attributes:
        during: ``request`` while it was sending that, ``response`` while it was being answered.
        time: when the app's server said so, in nanoseconds since 1970.
    """

    during: str
    time: int


@dataclass(slots=True)
class Response:
    """An outgoing HTTP response. ``status`` is ``200 OK`` in WSGI and ``200`` in ASGI."""

    status: str
    headers: Headers
    body: list[bytes] = field(default_factory=list)
    trailers: Headers = field(default_factory=list)
    complete: bool = False

    @property
    def payload(self) -> str:
        """The attribute of the body."""
        return spans.HTTP_RESPONSE_BODY

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status.split(None, 1)[0])


@dataclass(slots=True)
class Request:
    """An incoming HTTP request, an entry. ``body`` grows as the app reads; ``complete`` when its end was seen.

    ``target`` is path and query exactly as received (RFC 9112, origin-form).
    """

    method: str
    target: str
    headers: Headers
    scheme: str = "http"
    http_version: str = "1.1"
    peer: tuple[str, int] | None = None
    """Address and port of the client, as the server says them; None where it says none."""
    body: list[bytes] = field(default_factory=list)
    complete: bool = False
    left: Left | None = None
    """When its client left, if it did not stay until the end of the response."""
    response: Response | None = None
    """What the app answers, once it has begun to."""

    @property
    def kind(self) -> str:
        """The name of :data:`KIND`."""
        return "http"

    @property
    def span_kind(self) -> SpanKind:
        """Of a span of our own."""
        return SpanKind.SERVER

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def name(self) -> str:
        """Method and target for people."""
        return redaction.url(f"{self.method} {self.target}")

    @property
    def payload(self) -> str:
        """The attribute of the body."""
        return spans.HTTP_REQUEST_BODY

    @property
    def messages(self) -> Sequence[Message]:
        """The request, and the response once there is one."""
        return (self,) if self.response is None else (self, self.response)

    @property
    def failed(self) -> bool:
        """Whether the app answered with a server error."""
        return self.response is not None and self.response.code >= SERVER_ERROR

    @property
    def texts(self) -> Texts:
        """Target, headers and as much of the body as was read."""
        return texts(self.target, self.headers, b"".join(self.body))

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    def hide_header(self, name: str, mask: str) -> None:
        """Record a mask instead of a header's values."""
        self.headers = [(key, mask if key.lower() == name else text) for key, text in self.headers]

    def attributes(self, error: BaseException | None) -> dict[str, spans.Attribute]:
        """Encode request and response."""
        encoded: dict[str, spans.Attribute] = {
            spans.HTTP_METHOD: self.method,
            spans.HTTP_TARGET: redaction.url(self.target),
            "url.scheme": self.scheme,
            "network.protocol.version": self.http_version,
            **spans.encode_headers(spans.HTTP_REQUEST_HEADERS, redaction.headers(self.headers)),
            **spans.encode_payload(spans.HTTP_REQUEST_BODY, self.body),
        }
        incomplete = [] if self.complete else ["request"]
        response = self.response
        if response is not None:
            encoded |= {
                spans.HTTP_STATUS: response.code,
                spans.HTTP_STATUS_LINE: response.status,
                **spans.encode_headers(spans.HTTP_RESPONSE_HEADERS, redaction.headers(response.headers)),
                **spans.encode_payload(spans.HTTP_RESPONSE_BODY, response.body),
            }
            if response.trailers:
                encoded |= spans.encode_headers(spans.HTTP_RESPONSE_TRAILERS, redaction.headers(response.trailers))
        if response is None or not response.complete:
            incomplete.append("response")
        if incomplete:
            encoded[spans.INCOMPLETE] = ",".join(incomplete)
        if self.left is not None:
            encoded |= {spans.CLIENT_LEFT: self.left.during, spans.CLIENT_LEFT_TIME: self.left.time}
        if error is not None:
            encoded[spans.ERROR] = exceptions.encoded(error)
        return encoded


def texts(target: str, headers: Headers, body: bytes) -> Texts:
    """Give what a request brought.

    Args:
        target: path and query.
        headers: in order.
        body: as far as it is known.
    """
    return Texts([target, unquote_plus(target), *(f"{name}: {value}" for name, value in headers)], body)
