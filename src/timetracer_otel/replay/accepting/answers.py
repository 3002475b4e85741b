"""Recorded answers with the ids that the live run had in place of the recorded ones."""

from __future__ import annotations

from collections.abc import Mapping

from timetracer_otel import spans
from timetracer_otel.seams import values

__all__ = ["rebound"]

_TEXTS = (spans.RESPONSE, spans.HTTP_RESPONSE_BODY)


def rebound(attributes: Mapping[str, object], bound: Mapping[str, str]) -> dict[str, spans.Attribute]:
    """Give the attributes of an answer that change.

    Args:
        attributes: of the recorded call.
        bound: the live values by the recorded ones, both in hexadecimal digits.
    """
    changed: dict[str, spans.Attribute] = {}
    bindings = {bytes.fromhex(recorded): bytes.fromhex(live) for recorded, live in bound.items()}
    for name in _TEXTS if bindings else ():
        data = spans.decode_payload(attributes, name)
        new = None if data is None else _rebound(data, bindings)
        if new is not None and new != data:
            changed |= spans.encode_payload(name, new)
    headers = attributes.get(spans.HTTP_RESPONSE_HEADERS)
    if bindings and isinstance(headers, str):
        changed[spans.HTTP_RESPONSE_HEADERS] = values.rebound(headers, bindings)
    return changed


def _rebound(data: bytes, bindings: Mapping[bytes, bytes]) -> bytes:
    try:
        return values.rebound(data.decode("utf-8"), bindings).encode("utf-8")
    except UnicodeDecodeError:
        for recorded, live in bindings.items():  # a binary format: a value is as long as the one for it
            mine, theirs = values.raw_of(recorded), values.raw_of(live)
            if len(mine) == len(theirs):
                data = data.replace(mine, theirs)
        return data
