"""What the request that started a lane brought: such a value is not fresh, it must be equal."""

from __future__ import annotations

from functools import cached_property
from typing import Final
from urllib.parse import unquote_plus

from timetracer_otel import spans
from timetracer_otel.cassette import model
from timetracer_otel.seams import Request, Value, value_forms, values

__all__ = ["Brought", "by_lane", "by_request"]

_SEARCHED: Final = 256 * 1024
"""Bytes of a request in which each value is searched for; the values of a longer one are looked up."""


class Brought:
    """The texts of a request, asked for values.

    Args:
        target: path and query.
        headers: in order.
        body: as far as it is read.
    """

    def __init__(self, target: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self._head = [target, unquote_plus(target), *(f"{name}: {value}" for name, value in headers)]
        self._body = body

    def __contains__(self, value: Value) -> bool:
        if any(form in text for text in self._searched for form in value_forms.written(value)):
            return True
        return len(self._body) > _SEARCHED and not self._looked_up.isdisjoint(value_forms.known_by(value))

    @cached_property
    def _searched(self) -> list[bytes]:
        texts = [text.encode("utf-8", "surrogateescape") for text in self._head]
        if len(self._body) > _SEARCHED:
            return texts
        return [*texts, self._body, unquote_plus(self._body.decode("latin-1")).encode("latin-1", "replace")]

    @cached_property
    def _looked_up(self) -> frozenset[Value]:
        text = self._body.decode("utf-8", "replace")
        if "%" in text:  # a form
            text += "\n" + unquote_plus(text)
        return frozenset(key for value in values.found_in(text) for key in value_forms.known_by(value))


def by_request(request: Request) -> Brought:
    """What a live request brought so far.

    Args:
        request: while its body is read.
    """
    return Brought(request.target, list(request.headers), b"".join(request.body))


def by_lane(lane: model.Lane) -> Brought:
    """What a recorded request brought; nothing, where the lane has none.

    Args:
        lane: recorded.
    """
    entry = lane.entry
    if entry is None:
        return Brought("", [], b"")
    headers = spans.decode_headers(entry.attributes, spans.HTTP_REQUEST_HEADERS)
    body = entry.payload(spans.HTTP_REQUEST_BODY) or b""
    return Brought(entry.text(spans.HTTP_TARGET) or "", list(headers), body)
