"""Calls that were imported from a tool that keeps less of a request than we do: method, URL and a hash of the body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qs

import orjson

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families.http import description
from timetracer_otel.families.http.messages import Sent
from timetracer_otel.seams import Description, Responder

__all__ = ["check", "described", "recorded"]


_OF_BODY: Final = frozenset({"content-type", "content-encoding"})


def described(answering: Responder, request: Sent) -> tuple[Description, ...]:
    """Say what a live request asks as an imported call does: by method and URL. Empty when no call was imported.

    Args:
        answering: the responder.
        request: the live one.
    """
    if answering.facts(spans.IMPORTED) is None:
        return ()
    urls = dict.fromkeys((request.url, redaction.blanked_url(request.url)))
    return tuple(_by_url(request, url) for url in urls)


def recorded(call: Span, request: Sent) -> Description | None:
    """Say what an imported call asks; None of one that is none.

    Args:
        call: of a recording.
        request: the call's.
    """
    return None if call.text(spans.IMPORTED) is None else _by_url(request, request.url)


def _by_url(request: Sent, url: str) -> Description:
    """Describe by method and URL; of those that are alike one with the same body comes first."""
    asked = description.describe_unsent(Sent(request.method, url, [], complete=False))
    headers = [(name, value) for name, value in request.headers if name.lower() in _OF_BODY]
    whole = description.describe(Sent(request.method, url, headers, request.body))
    return replace(asked, preference=whole.shape)


def check(answering: Responder, recorded: Span, request: Sent) -> None:
    """Refuse an imported call that cannot answer, or that asked with another body.

    Args:
        answering: the responder.
        recorded: the call that would answer.
        request: the live one.

    Raises:
        ReplayMiss: it does not.
    """
    tool, what = recorded.text(spans.IMPORTED), f"{request.method} {redaction.url(request.url)}"
    if tool is None:
        return
    if (lacking := recorded.text(spans.IMPORTED_LACKS)) is not None:
        answering.refuse(f"{what} was imported from {tool}, which did not keep {lacking}: record it again")
    wanted = recorded.text(spans.IMPORTED_BODY)
    if wanted is not None and wanted not in map(_hash, _forms(request)):
        answering.refuse(
            f"{what} was imported from {tool}, which kept only a hash of the request's body, and this body has another"
        )


def _hash(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _forms(request: Sent) -> Iterator[bytes]:
    """Give what timetracer 1.x hashes: the body, or the value of which the client made it."""
    yield request.body
    with suppress(ValueError):  # it may be a form
        yield _sorted(orjson.loads(request.body))
    fields = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    if fields:
        yield _sorted({name: values[0] if len(values) == 1 else values for name, values in fields.items()})


def _sorted(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8")
