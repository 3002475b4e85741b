"""What a task library keeps beside its queue, asked by one method of a store: recorded and answered as a call."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final

import pybase64

from timetracer_otel import seams, spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.families import failures
from timetracer_otel.seams import Description
from timetracer_otel.seams.values import Blanker

__all__ = ["asked", "describe", "recorded", "rendered", "text"]

METHOD: Final = "timetracer.store.method"
"""The store's method that was called."""


def text(value: Any) -> str:
    """Give a key as a text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return {"base64": pybase64.b64encode_as_string(value)}
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def asked(  # noqa: PLR0913, PLR0917 - who asks what, and how an answer is kept
    plugin: str,
    method: str,
    compared: Sequence[Any],
    ask: Callable[[], Any],
    packed: Callable[[Any], Any],
    unpacked: Callable[[Any], Any],
) -> Any:
    """Ask a store, and record that; in a replay, give what it said.

    Args:
        plugin: the integration's name.
        method: of the store.
        compared: its arguments, as far as they count.
        ask: does it.
        packed: makes JSON of an answer.
        unpacked: makes an answer of that.
    """
    words = [_shown(one) for one in compared]
    responder = seams.responder(plugin)
    if responder is not None:
        answer = responder.answer(
            describe(plugin, method, words),
            lambda: _line(method, words),
            recording=lambda: {METHOD: method, **spans.encode_payload(spans.REQUEST, json.dumps(words).encode())},
        )
        if (error := answer.recorded.text(spans.ERROR)) is not None:
            raise failures.error_of(responder, error)
        return unpacked(json.loads(answer.recorded.payload(spans.RESPONSE) or b"null"))
    call = seams.begin(plugin, lambda: (f"{plugin} {method}", {METHOD: method, "messaging.system": plugin}))
    try:
        told = ask()
    except BaseException as error:
        if call is not None:
            call.put(spans.REQUEST, json.dumps(words).encode())
            call.fail(error)
            call.end()
        raise
    if call is not None:
        try:
            call.put(spans.REQUEST, json.dumps(words).encode())
            call.put(spans.RESPONSE, json.dumps(packed(told)).encode())
            call.end()
        except Exception as fault:  # noqa: BLE001 - recording never breaks the app
            call.lose(f"{plugin}.{method}", fault)
    return told


def recorded(span: Span) -> tuple[str, list[Any]] | None:
    """Give method and arguments of a recorded call; None of another one.

    Args:
        span: the call.
    """
    method = span.text(METHOD)
    return None if method is None else (method, json.loads(span.payload(spans.REQUEST) or b"[]"))


def describe(plugin: str, method: str, words: Sequence[Any]) -> Description:
    """Say what is asked, so that the same of another run compares equal. Ids in it count as values.

    Whoever works changes what is kept, and no lane tells: what one lane was told answers no other, not even a read.

    Args:
        plugin: the integration's name.
        method: of the store.
        words: its arguments, JSON-like.
    """
    blanker = Blanker()
    shape = [blanker.text(word) if isinstance(word, str) else word for word in words]
    digest = blake2b(json.dumps([method, shape]).encode(), digest_size=16, person=b"store").digest()
    subjects = tuple((plugin, str(word)) for word in words[:1])
    return Description((plugin, method), digest, tuple(blanker.values), read=False, subjects=subjects)


def _line(method: str, words: Sequence[Any]) -> str:
    return " ".join([method, *(word if isinstance(word, str) else json.dumps(word) for word in words)])


def rendered(span: Span) -> dict[str, Any]:
    """Give a recorded call for people.

    Args:
        span: the call.
    """
    found = recorded(span)
    told = span.payload(spans.RESPONSE)
    return {"request": found and _line(*found), "response": None if told is None else json.loads(told)}
