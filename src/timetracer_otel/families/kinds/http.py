"""HTTP requests: what an entry's seam sees of one, and how a recorded one is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette.kinds import EntryKind, Side, Texts
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.kinds._http_follower import HttpFollower
from timetracer_otel.families.kinds._http_request import SERVER_ERROR, Left, Request, Response, texts

__all__ = ["KIND", "Left", "Request", "Response"]

_METHODS: Final = (spans.HTTP_METHOD, "http.method")
_TARGETS: Final = (spans.HTTP_TARGET, "http.target", "http.route", "http.url")


def _recorded_texts(entry: Span) -> Texts:
    headers = spans.decode_headers(entry.attributes, spans.HTTP_REQUEST_HEADERS)
    return texts(entry.text(spans.HTTP_TARGET) or "", headers, entry.payload(spans.HTTP_REQUEST_BODY) or b"")


def _facts(attributes: Mapping[str, object]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for fact, name in (("method", spans.HTTP_METHOD), ("target", spans.HTTP_TARGET), ("route", "http.route")):
        if isinstance(text := attributes.get(name), str):
            found[fact] = text
    if spans.HTTP_REQUEST_HEADERS in attributes:
        headers = spans.decode_headers(attributes, spans.HTTP_REQUEST_HEADERS)
        found["group"] = "; ".join(value for name, value in headers if name.lower() == "cookie")
    if (has_body := spans.payload_is_there(attributes, spans.HTTP_REQUEST_BODY)) is not None:
        found["has_body"] = has_body
    return found


def _label(attributes: Mapping[str, object]) -> tuple[str | None, str | None]:
    return _first_text(attributes, _METHODS), _label_of_target(attributes)


def _label_of_target(attributes: Mapping[str, object]) -> str | None:
    path = attributes.get("url.path")
    if spans.HTTP_TARGET not in attributes and isinstance(path, str):
        query = attributes.get("url.query")
        return f"{path}?{query}" if query else path
    return _first_text(attributes, _TARGETS)


def _first_text(attributes: Mapping[str, object], names: Sequence[str]) -> str | None:
    return next((value for name in names if isinstance(value := attributes.get(name), str) and value), None)


def _status(attributes: Mapping[str, object]) -> int | None:
    values = (attributes.get(name) for name in (spans.HTTP_STATUS, "http.status_code"))
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def _told(attributes: Mapping[str, object]) -> str:
    status = _status(attributes)
    if status is None or status < SERVER_ERROR:
        return ""
    line = attributes.get(spans.HTTP_STATUS_LINE)
    return line if isinstance(line, str) and line else f"status {status}"


KIND = EntryKind(
    name="http",
    reads=lambda attributes: any(name in attributes for name in (*_METHODS, spans.HTTP_TARGET)),
    facts=_facts,
    needed=frozenset({"method", "target", "group"}),
    texts=_recorded_texts,
    request=Side(
        facts={"scheme": "url.scheme", "http_version": "network.protocol.version"},
        headers={"headers": spans.HTTP_REQUEST_HEADERS},
        body=spans.HTTP_REQUEST_BODY,
    ),
    response=Side(
        facts={"status_line": spans.HTTP_STATUS_LINE},
        headers={"headers": spans.HTTP_RESPONSE_HEADERS, "trailers": spans.HTTP_RESPONSE_TRAILERS},
        body=spans.HTTP_RESPONSE_BODY,
    ),
    label=_label,
    follower=HttpFollower,
    status=_status,
    told=_told,
)
