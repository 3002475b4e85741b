"""Payloads that came in child spans of their call, put back where they belong."""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from pathlib import Path

from timetracer_otel import spans as names
from timetracer_otel.cassette.model import Span
from timetracer_otel.errors import CassetteError

__all__ = ["checked_count", "fold_body", "fold_chunks"]

_IDENTITY = (names.PART, names.PART_OF, names.PART_INDEX, names.LANE_ID, names.SESSION_ID, names.SCHEMA)


def fold_body(whole: Span, part: Span) -> None:
    """Join what completed late to its call.

    Args:
        whole: the call.
        part: its ``body`` part.
    """
    whole.attributes.pop(names.INCOMPLETE, None)
    whole.attributes |= {name: value for name, value in part.attributes.items() if name not in _IDENTITY}


def fold_chunks(spans: MutableMapping[tuple[str, str], Span]) -> None:
    """Join the ``chunk`` parts of large payloads to their calls, and drop them.

    Chunks whose call is nowhere stay as they are.

    Args:
        spans: all that was read, by trace and span id.

    Raises:
        CassetteError: a chunk was cut or is missing.
    """
    known = dict(spans)
    found: dict[tuple[str, str, str], dict[int, Span]] = {}
    for key, span in known.items():
        name, index = span.text(names.PART_OF), span.attributes.get(names.PART_INDEX)
        if _is_chunk(span) and name is not None and isinstance(index, int):
            whole = (span.trace_id, span.parent_id or "")
            if whole in known:
                found.setdefault((*whole, name), {})[index] = span
                del spans[key]
    # A chunk may have come in chunks itself: those are joined first.
    for trace_id, span_id, name in sorted(found, key=lambda place: not _is_chunk(known[place[:2]])):
        _join(known[trace_id, span_id], name, found[trace_id, span_id, name])


def _is_chunk(span: Span) -> bool:
    return span.attributes.get(names.PART) == "chunk"


def _join(whole: Span, name: str, chunks: dict[int, Span]) -> None:
    count = whole.attributes.pop(name + names.PARTS, None)
    if count is None:  # the recording ended before the payload did
        side = "request" if "request" in name else "response"
        whole.attributes[names.INCOMPLETE] = ",".join(filter(None, {whole.text(names.INCOMPLETE), side}))
        count = next(number for number in range(len(chunks) + 1) if number not in chunks)
    count = checked_count(name, whole.span_id, count, chunks)
    pieces = [chunks[number].payload(name) for number in range(count)]
    if None not in pieces:
        whole.attributes |= names.encode_payload(name, [piece for piece in pieces if piece is not None])


def checked_count(name: str, span_id: str, count: object, numbers: Collection[int], file: Path | None = None) -> int:
    """Give how many chunks a payload has, all of which are there.

    Args:
        name: of the payload.
        span_id: of its call.
        count: how many chunks there should be.
        numbers: of those that are there.
        file: that they are in, where it is known.

    Raises:
        CassetteError: one is missing.
    """
    if not isinstance(count, int) or not set(numbers).issuperset(range(count)):
        message = f"{name} of span {span_id} has {len(numbers)} of its {count} chunks: load all files of the lane"
        raise CassetteError(message, file=file)
    return count
