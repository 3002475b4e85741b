"""What an entry's seam sees: a request and a response, as they pass."""

from __future__ import annotations

from dataclasses import dataclass, field

from timetracer_otel import redaction, spans
from timetracer_otel.seams import exceptions

__all__ = ["Headers", "Left", "Request", "Response", "entry_attributes"]

Headers = list[tuple[str, str]]
"""Header pairs in order, duplicates kept, names as received, bytes decoded as latin-1."""


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
class Request:
    """An incoming HTTP request. ``body`` grows as the app reads; ``complete`` when its end was seen.

    ``target`` is path and query exactly as received (RFC 9112, origin-form).
    """

    method: str
    target: str
    headers: Headers
    scheme: str = "http"
    http_version: str = "1.1"
    body: list[bytes] = field(default_factory=list)
    complete: bool = False
    left: Left | None = None
    """When its client left, if it did not stay until the end of the response."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@dataclass(slots=True)
class Response:
    """An outgoing HTTP response. ``status`` is ``200 OK`` in WSGI and ``200`` in ASGI."""

    status: str
    headers: Headers
    body: list[bytes] = field(default_factory=list)
    trailers: Headers = field(default_factory=list)
    complete: bool = False

    @property
    def code(self) -> int:
        """The status code."""
        return int(self.status.split(None, 1)[0])


def entry_attributes(
    request: Request, response: Response | None, error: BaseException | None
) -> dict[str, spans.Attribute]:
    """Encode an entry as span attributes, redacted.

    Args:
        request: as seen.
        response: as sent, None when nothing was.
        error: what left the app.
    """
    attributes: dict[str, spans.Attribute] = {
        spans.HTTP_METHOD: request.method,
        spans.HTTP_TARGET: redaction.url(request.target),
        "url.scheme": request.scheme,
        "network.protocol.version": request.http_version,
        **spans.encode_headers(spans.HTTP_REQUEST_HEADERS, redaction.headers(request.headers)),
        **spans.encode_payload(spans.HTTP_REQUEST_BODY, request.body),
    }
    incomplete = [] if request.complete else ["request"]
    if response is not None:
        attributes |= {
            spans.HTTP_STATUS: response.code,
            spans.HTTP_STATUS_LINE: response.status,
            **spans.encode_headers(spans.HTTP_RESPONSE_HEADERS, redaction.headers(response.headers)),
            **spans.encode_payload(spans.HTTP_RESPONSE_BODY, response.body),
        }
        if response.trailers:
            attributes |= spans.encode_headers(spans.HTTP_RESPONSE_TRAILERS, redaction.headers(response.trailers))
    if response is None or not response.complete:
        incomplete.append("response")
    if incomplete:
        attributes[spans.INCOMPLETE] = ",".join(incomplete)
    if request.left is not None:
        attributes |= {spans.CLIENT_LEFT: request.left.during, spans.CLIENT_LEFT_TIME: request.left.time}
    if error is not None:
        attributes[spans.ERROR] = exceptions.encoded(error)
    return attributes
