"""What came of an entry or of a script, put in the place of what came of it when it was recorded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette import kinds
from timetracer_otel.cassette.model import Lane, Span
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.seen import Seen
from timetracer_otel.seams.streams import KEPT_BYTES

__all__ = ["OF_CHILDREN", "RESPONSE", "accept", "accept_output", "own_span"]

RESPONSE: Final = frozenset({"status", "header", "body", "outcome"})
OF_CHILDREN: Final = "of child processes"
"""What a difference in the output of the processes is called that a script started."""
_ENDS: Final = (spans.HTTP_STATUS, spans.ERROR)
_LENGTH: Final = "content-length"
"""It is the body's, and no difference by itself."""
_SERVER_ERROR: Final = 500
_FAILED: Final = 2
"""STATUS_CODE_ERROR of OTLP."""


def own_span(session: Lane) -> Span | None:
    """The span that a session's process wrote when it ended; None when it did not come to that."""
    return next((one for one in session.spans if one.name.startswith(spans.SESSION_SPAN) and not one.is_call), None)


def accept(main: Span, seen: Seen, accepted: Sequence[Difference]) -> None:
    """Change what came of an entry or of a script, as far as that is accepted.

    Args:
        main: the entry's span, or the session's own; it is changed.
        seen: the replay.
        accepted: the differences.
    """
    mine = [one for one in accepted if one.kind in RESPONSE]
    if mine and seen.entry is not None:
        _accept_response(main, seen.entry, mine)
    if any(one.kind == "exit status" for one in accepted) and seen.status is not None:
        main.attributes[spans.SESSION_EXIT_STATUS] = seen.status


def accept_output(own: Span, printed: bytes) -> None:
    """Change what a process of a script printed.

    Args:
        own: the session's own span; it is changed.
        printed: what it printed now.
    """
    _replace(own.attributes, [spans.SESSION_STDOUT], _printed(printed))


def _accept_response(entry: Span, live: Mapping[str, Any], accepted: Sequence[Difference]) -> None:
    kind = kinds.of(entry.attributes)
    if kind is None:
        return
    attributes, found = entry.attributes, {one.kind for one in accepted}
    ends, body = {*_ENDS, *kind.response.facts.values()}, {kind.response.body} - {""}
    heads = set(kind.response.headers.values())
    changes_end = bool(found & {"status", "outcome"})
    if changes_end and heads.isdisjoint(attributes) != heads.isdisjoint(live):
        found |= {"body"}  # there was no response, and now there is one; or the other way round
        _replace(attributes, heads, live)
    if changes_end:
        _replace(attributes, ends, live)
        _fail(entry, live)
    if found & {"body", "outcome"}:
        _replace(attributes, body, live)
        _set_incomplete(attributes, live)
    changed = {one.what for one in accepted if one.kind == "header"} | ({_LENGTH} if "body" in found else set())
    for name in heads & attributes.keys() & live.keys() if changed else ():
        mine, theirs = spans.decode_headers(attributes, name), spans.decode_headers(live, name)
        attributes |= spans.encode_headers(name, _with_headers(mine, theirs, changed))


def _with_headers(
    recorded: list[tuple[str, str]], live: list[tuple[str, str]], names: set[str]
) -> Iterator[tuple[str, str]]:
    """The recorded headers, but those of some names as they are now."""
    yield from ((name, value) for name, value in recorded if name.lower() not in names)
    yield from ((name, value) for name, value in live if name.lower() in names)


def _fail(entry: Span, live: Mapping[str, Any]) -> None:
    """Let a span say whether it failed."""
    status = live.get(spans.HTTP_STATUS)
    failed = spans.ERROR in live or (isinstance(status, int) and status >= _SERVER_ERROR)
    if not failed:
        entry.status_code, entry.status_message, entry.events = 0, "", []
    elif not entry.status_code:
        entry.status_code = _FAILED
    if "http.status_code" in entry.attributes and status is not None:
        entry.attributes["http.status_code"] = status  # as older instrumentors call it


def _set_incomplete(attributes: dict[str, object], live: Mapping[str, Any]) -> None:
    sides = [
        side
        for side, told in (("request", attributes), ("response", live))
        if side in str(told.get(spans.INCOMPLETE, ""))
    ]
    attributes.pop(spans.INCOMPLETE, None)
    if sides:
        attributes[spans.INCOMPLETE] = ",".join(sides)


def _printed(data: bytes) -> dict[str, Any]:
    """Encode what was printed as :mod:`timetracer_otel.seams.streams` keeps it."""
    kept = KEPT_BYTES[spans.SESSION_STDOUT]
    told: dict[str, Any] = {**spans.encode_payload(spans.SESSION_STDOUT, data[:kept])}
    if len(data) > kept:
        told[spans.SESSION_STDOUT + spans.TOTAL] = len(data)
        told[spans.SESSION_STDOUT + spans.SHA256] = hashlib.sha256(data).hexdigest()
    return told


def _replace(attributes: dict[str, object], names: Iterable[str], live: Mapping[str, Any]) -> None:
    """Give attributes of some names, and of payloads that are called so, the values that they have now."""
    for name in names:
        for one in [one for one in attributes if one == name or one.startswith(f"{name}.")]:
            del attributes[one]
        attributes |= {one: value for one, value in live.items() if one == name or one.startswith(f"{name}.")}
