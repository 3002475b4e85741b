"""A recorded reply that is bytes as they came: the values in it, and its digest, by which answers are told apart."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from timetracer_otel import spans
from timetracer_otel.cassette.model import Span
from timetracer_otel.seams import Value
from timetracer_otel.seams.values import found_in

__all__ = ["answer", "reply_values"]


def reply_values(recorded: Span) -> Iterable[Value]:
    """Give the ids and times in what a recorded call was told.

    Args:
        recorded: its span.
    """
    response = recorded.payload(spans.RESPONSE)
    return () if response is None else found_in(response.decode("utf-8", "replace"))


def answer(recorded: Span) -> bytes:
    """Digest of what a recorded call was told, equal for equal answers; its own where it was told nothing.

    Args:
        recorded: its span.
    """
    response = recorded.payload(spans.RESPONSE)
    return recorded.span_id.encode() if response is None else blake2b(response, digest_size=16).digest()
