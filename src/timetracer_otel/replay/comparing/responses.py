"""An HTTP response beside the recorded one: status, the headers that the app made, body."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, TypeAlias

import orjson

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.values import ABSENT, FieldDifference, differences
from timetracer_otel.seams import web_tokens

__all__ = ["ComparedResponse", "End", "compare_bodies", "compare_headers", "compare_response", "recorded_reply"]

Headers = list[tuple[str, str]]
End: TypeAlias = Literal["whole", "left", "broken", "late", "unknown"]
"""How a response ended: at its end; its client ``left``; the app or its server was ``broken`` off before the end it had
announced; its time was up before that, ``late``; or ``unknown``, where only the connection's end says so."""

_SERVERS_OWN: Final = frozenset({"date", "server", "connection", "transfer-encoding"})
"""Headers that a server adds to those of the app."""
_STAYING: Final = frozenset({"", "close", "keep-alive"})
"""What ``Connection`` says of how long it stays: the server's own, because the requests of a verification close it."""
_NOW_SECONDS: Final = 300
_LENGTH: Final = "content-length"
_NO_BODY: Final = frozenset({204, 304})
_SERVER_ERROR: Final = 500
_GLANCE: Final = 40


@dataclass(frozen=True, slots=True)
class ComparedResponse:
    """A response.

    Attributes:
        status: the code; None when the app answered nothing.
        headers: in order.
        body: without transfer coding.
        end: see :data:`End`.
    """

    status: int | None
    headers: Headers
    body: bytes
    end: End = "whole"


def recorded_reply(entry: Span) -> ComparedResponse:
    """The response of a recorded entry.

    Args:
        entry: its span.

    Raises:
        CassetteError: it was cut or damaged.
    """
    status = entry.attributes.get(spans.HTTP_STATUS)
    headers = spans.decode_headers(entry.attributes, spans.HTTP_RESPONSE_HEADERS)
    seen = spans.HTTP_RESPONSE_HEADERS in entry.attributes
    body = entry.payload(spans.HTTP_RESPONSE_BODY) or b""
    return ComparedResponse(status if isinstance(status, int) and seen else None, headers, body, _recorded_end(entry))


def _recorded_end(entry: Span) -> End:
    if "response" not in (entry.text(spans.INCOMPLETE) or ""):
        return "whole"
    if spans.CLIENT_LEFT in entry.attributes:
        return "left"
    return "broken" if spans.ERROR in entry.attributes else "unknown"


def compare_response(method: str, recorded: ComparedResponse, live: ComparedResponse) -> Iterator[Difference]:
    """Say what differs.

    Args:
        method: of the request.
        recorded: the response that the app gave then.
        live: what came over the wire now.
    """
    if live.end == "late" and recorded.end != "unknown":
        yield Difference("error", f"the response did not end in time (--timeout); {len(live.body)} bytes of it came")
    if (recorded.status is None and recorded.end == "left") or (live.status is None and live.end == "left"):
        return  # nobody was there to hear what the app said
    if recorded.status is None:  # the app raised, and its server answered for it
        if live.status is None or live.status < _SERVER_ERROR:
            yield _status("an exception and no response", live.status)
        return
    if recorded.status != live.status:
        yield _status(recorded.status, live.status)
    yield from compare_headers(recorded.headers, live.headers)
    if method != "HEAD" and not {recorded.status, live.status} & _NO_BODY:
        fields = (*_compare_ends(recorded, live), *compare_bodies(recorded, live))
        if fields:
            yield Difference("body", "", fields)


def _compare_ends(recorded: ComparedResponse, live: ComparedResponse) -> Iterator[FieldDifference]:
    """Compare whether bodies came to the end that their heads announced."""
    then, now = _is_broken(recorded), _is_broken(live)
    if then != now and "whole" in {recorded.end, live.end} and "late" not in {recorded.end, live.end}:
        told = {True: "broken off after {} bytes", False: "whole after {} bytes"}
        yield FieldDifference("$ end", told[then].format(len(recorded.body)), told[now].format(len(live.body)))


def _is_broken(reply: ComparedResponse) -> bool:
    if reply.end != "whole":
        return reply.end == "broken"
    length = next((value.strip() for name, value in reply.headers if name.lower() == _LENGTH), "")
    announced = spans.whole_number(length)
    return announced is not None and announced > len(reply.body)


def _status(recorded: object, live: object) -> Difference:
    return Difference("status", "", (FieldDifference("$", recorded, live),))


def compare_headers(recorded: Headers, live: Headers) -> Iterator[Difference]:
    """Compare headers by name; of one name, the values in order. Content-Length is left to the body.

    Args:
        recorded: as the app gave them.
        live: with those of the server.
    """
    mine, theirs = _by_name(recorded), _by_name(live)
    for name in dict.fromkeys([*mine, *theirs]):
        one, other = mine.get(name, []), theirs.get(name, [])
        if name == _LENGTH or (name in _SERVERS_OWN and all(value in other for value in one)):
            continue
        if one and other and all(_is_of_server(name, value) for value in other):
            continue
        if any(map(redaction.hidden, one)):  # no key: what the secrets are stays open
            one, other = ([redaction.blanked_header(name, value) for value in values] for values in (one, other))
        if list(map(web_tokens.readable, one)) != list(map(web_tokens.readable, other)):
            yield Difference("header", name, (FieldDifference("$", _shown(name, one), _shown(name, other)),))


def _by_name(headers: Headers) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, value in headers:
        if not _is_of_staying(name.lower(), value):
            found[name.lower()].append(value.strip())
    return found


def _is_of_staying(name: str, value: str) -> bool:
    options = {option.strip().lower() for option in value.split(",")}
    return name == "keep-alive" or (name == "connection" and options <= _STAYING)


def _is_of_server(name: str, value: str) -> bool:
    """Whether it stands in the place of the app's own: gunicorn sends no other ``Date`` and ``Server`` than its own."""
    return _is_now(value) if name == "date" else name == "server" and value.startswith("gunicorn")


def _is_now(date: str) -> bool:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return False
    return abs(moment.timestamp() - time.time()) < _NOW_SECONDS


def _shown(name: str, values: list[str]) -> object:
    """Values for people: a report is no place for secrets."""
    if not values:
        return ABSENT
    hidden = (value for _, value in redaction.headers((name, value) for value in values))
    shown = [redaction.placeholders(web_tokens.readable(value)) for value in hidden]
    return shown[0] if len(shown) == 1 else shown


def compare_bodies(recorded: ComparedResponse, live: ComparedResponse) -> Iterator[FieldDifference]:
    """Compare bodies: JSON by value, others byte by byte; of one that was not seen to its end, what was seen.

    Args:
        recorded: one response.
        live: the other.
    """
    if recorded.body == live.body:
        return
    if recorded.end in {"left", "unknown"}:
        if not live.body.startswith(recorded.body):
            yield _of_bytes(recorded.body, live.body[: len(recorded.body)])
        return
    if recorded.end != "whole" or live.end in {"broken", "late"}:
        yield _of_bytes(recorded.body, live.body)
        return
    mine, theirs = _plain(recorded), _plain(live)
    values = _parsed(mine), _parsed(theirs)
    if ABSENT not in values:
        yield from differences(*values)
    elif mine != theirs:
        texts = _text(mine), _text(theirs)
        if None in texts or web_tokens.readable(texts[0] or "") != web_tokens.readable(texts[1] or ""):
            yield _of_bytes(mine, theirs)


def _plain(reply: ComparedResponse) -> bytes:
    """A body without the content coding that the standard library knows; one damaged or very large as it is."""
    coding = next((value.strip().lower() for name, value in reply.headers if name.lower() == "content-encoding"), "")
    if coding not in {"gzip", "deflate"}:
        return reply.body
    try:
        plain = spans.inflated(reply.body, spans.UNPACKED, wbits=47)  # 32 + 15: gzip or zlib, whichever it is
    except ValueError:
        return reply.body
    return plain if len(plain) <= spans.UNPACKED else reply.body


def _parsed(body: bytes) -> Any:
    if body.lstrip()[:1] not in {b"{", b"[", b'"'}:
        return ABSENT
    try:
        return orjson.loads(body)
    except ValueError:
        return ABSENT


def _text(body: bytes) -> str | None:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _of_bytes(recorded: bytes, live: bytes) -> FieldDifference:
    """Where two bodies part, and a glance at both from there."""
    at = next((n for n, (one, other) in enumerate(zip(recorded, live, strict=False)) if one != other), None)
    at = min(len(recorded), len(live)) if at is None else at
    glances: Iterable[str] = (side[at : at + _GLANCE].decode("utf-8", "replace") for side in (recorded, live))
    return FieldDifference(f"$ at byte {at} of {len(recorded)} and {len(live)}", *glances)
