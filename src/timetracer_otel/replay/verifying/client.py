"""A recorded request made again: what goes out, and how far its client stayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.cassette.urls import split
from timetracer_otel.errors import CassetteError, ConfigError
from timetracer_otel.seams import Headers

__all__ = ["Sending", "Stay", "Target", "given_header", "hidden_places", "parse_url", "recorded_request"]

_MADE_ANEW: Final = frozenset({"content-length", "transfer-encoding"})
"""Headers that go with the bytes of the body."""
_NEGOTIATED: Final = frozenset({"upgrade", "http2-settings", "expect", "trailer"})
"""Headers by which a client asks for what this one does not do: another protocol, a pause before the body, fields
behind it (RFC 9110, sections 6.5, 7.8 and 10.1.1)."""
_LEFT_OUT: Final = _MADE_ANEW | _NEGOTIATED
_LAST_CHUNK: Final = b"0\r\n\r\n"
_FILLER: Final = bytes(64 * 1024)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the app listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a client stayed that left before the end.

    Attributes:
        uploading: whether it left while it was sending the request.
        has_head: whether the response had begun.
        body: how many bytes of the response's body the app had sent.
        until: when it left, in nanoseconds since 1970.
    """

    uploading: bool
    has_head: bool
    body: int
    until: int


@dataclass(frozen=True, slots=True)
class Sending:
    """A request to send.

    Attributes:
        method: of HTTP.
        head: request line and headers, as they go out.
        body: likewise, with its transfer coding, as far as it was recorded.
        lacking: how many bytes of its announced body the recorded app left unread; no cassette has them.
        last: what would end a body that is in no cassette to its end.
        stay: of the client; None when it stayed until the end.
    """

    method: str
    head: bytes
    body: bytes
    lacking: int = 0
    last: bytes = b""
    stay: Stay | None = None

    @property
    def is_cut(self) -> bool:
        """Whether more of the body was announced than the recorded app read."""
        return bool(self.lacking or self.last)

    def filler(self) -> Iterator[bytes]:
        """Zeros in place of what the recorded app left unread, for a server that reads it before it asks its app."""
        for start in range(0, self.lacking, len(_FILLER)):
            yield _FILLER[: self.lacking - start]
        if self.last:
            yield self.last


def parse_url(url: str) -> Target:
    """Read ``--url``.

    Raises:
        ConfigError: it is no ``http://host:port``.
    """
    parts = split(url if "//" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname or parts.port == 0:
        raise ConfigError(f"--url {url}: give http://HOST:PORT, where the command listens")
    return Target(parts.hostname, parts.port or 80)


def given_header(text: str) -> tuple[str, str]:
    """Read ``--header``.

    Raises:
        ConfigError: it is no ``Name: value``.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(character in text for character in "\r\n"):
        raise ConfigError(f"--header {text!r}: give 'Name: value'")
    return name.strip(), value.strip()


def recorded_request(entry: Span, lane_id: str, given: Sequence[tuple[str, str]]) -> Sending:
    """Make the request of an entry again: as it was received, but for what this client does not do.

    Args:
        entry: the recorded one.
        lane_id: the lane that is to be followed.
        given: headers that take the place of the recorded ones of their names; a request that was recorded without
            one is sent without it. Others whose value was masked while recording are sent as far as they are known.

    Raises:
        CassetteError: the recorded body was cut or damaged.
    """
    recorded = spans.decode_headers(entry.attributes, spans.HTTP_REQUEST_HEADERS)
    names = {name.lower() for name, _ in recorded}
    given = [pair for pair in given if pair[0].lower() in names]
    replaced = {name.lower() for name, _ in given}
    headers = [pair for pair in map(_without_upgrade, recorded) if pair[0].lower() not in replaced | _LEFT_OUT]
    if not any(name.lower() == "host" for name, _ in [*headers, *given]):
        headers.insert(0, ("Host", "localhost"))
    framing, body, lacking, last = _framed(entry, recorded)
    headers += framing
    headers += [*given, (spans.LANE_HEADER, lane_id)]
    method = entry.text(spans.HTTP_METHOD) or "GET"
    lines = [
        f"{method} {entry.text(spans.HTTP_TARGET) or '/'} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers),
    ]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
    return Sending(method, head, body, lacking, last, _stay(entry))


def _without_upgrade(header: tuple[str, str]) -> tuple[str, str]:
    """A header as it was; ``Connection: Upgrade, …`` names headers that are left out, and asks to end it instead."""
    name, value = header
    return (name, "close") if name.lower() == "connection" and "upgrade" in value.lower() else header


def _framed(entry: Span, recorded: Headers) -> tuple[Headers, bytes, int, bytes]:
    """Give the headers that delimit a body, its bytes on the wire, how many it lacks, and what would end it."""
    body = entry.payload(spans.HTTP_REQUEST_BODY) or b""
    whole = "request" not in (entry.text(spans.INCOMPLETE) or "")
    names = {name.lower(): value.strip() for name, value in recorded}
    length = names.get("content-length", "")
    if "transfer-encoding" in names or not (whole or length.isdecimal()):
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        framing = [("Transfer-Encoding", "chunked")]
        return (framing, chunk + _LAST_CHUNK, 0, b"") if whole else (framing, chunk, 0, _LAST_CHUNK)
    if whole and not body and "content-length" not in names:
        return [], b"", 0, b""
    size = len(body) if whole else max(int(length), len(body))
    return [("Content-Length", str(size))], body, size - len(body), b""


def _stay(entry: Span) -> Stay | None:
    during, until = entry.text(spans.CLIENT_LEFT), entry.attributes.get(spans.CLIENT_LEFT_TIME)
    if during is None or not isinstance(until, int):
        return None
    body = entry.payload(spans.HTTP_RESPONSE_BODY) or b""
    return Stay(during == "request", spans.HTTP_RESPONSE_HEADERS in entry.attributes, len(body), until)


def hidden_places(entry: Span) -> dict[str, str]:
    """Where a request has secrets that are not known here, and why not, by the name of the header.

    Args:
        entry: the recorded one, opened.

    Raises:
        CassetteError: a secret was damaged.
    """
    places = [*spans.decode_headers(entry.attributes, spans.HTTP_REQUEST_HEADERS)]
    places.append(("the URL", entry.text(spans.HTTP_TARGET) or ""))
    if (damaged := next((name for name, value in places if redaction.damaged(value)), None)) is not None:
        raise CassetteError(f"what was sealed in {damaged} is damaged: record it again")
    return {name.lower(): why for name, value in places if (why := redaction.why_hidden(value))}
