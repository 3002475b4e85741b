"""A lane or a session in a few words: one row of a list."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from timetracer_otel import redaction
from timetracer_otel import spans as names
from timetracer_otel.cassette import kinds, scratch
from timetracer_otel.cassette.kinds import EntryKind
from timetracer_otel.cassette.model import Lane, Span

__all__ = ["Summary", "error_text", "iso", "newest_first", "summarize"]

_SERVER_ERROR: Final = 500
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Summary(NamedTuple):
    """One row of a list: a lane or a session. A tuple, of which a hundred thousand are made in a moment.

    Attributes:
        kind: lane or session.
        file: where it is.
        lane_id: its id; a session's is the session's.
        session_id: the session that it belongs to, or is.
        trace_id: of its entry.
        method: of HTTP, or the word of another kind of entry; None of a session and of what is of no kind that we know.
        target: what the entry was addressed to, or a session's program.
        status: HTTP status; a session's exit status; None when unknown.
        start: nanoseconds since the epoch.
        end: likewise.
        calls: how many calls it made.
        error: what went wrong, None when nothing did.
        incomplete: which sides were not seen to their end, None when both were.
        whole: whether its entry, or its session's own span, is there.
        service: ``service.name`` of what recorded it; empty when it has none.
        call_ids: span ids of its calls, to tell what another file has of the same; none when it comes from an index.
    """

    kind: Literal["lane", "session"]
    file: str
    lane_id: str
    session_id: str | None
    trace_id: str
    method: str | None
    target: str
    status: int | None
    start: int
    end: int
    calls: int
    error: str | None
    incomplete: str | None
    whole: bool
    service: str = ""
    call_ids: frozenset[int] = frozenset()

    @property
    def duration_ms(self) -> float:
        """Milliseconds from start to end."""
        return max(self.end - self.start, 0) / 1e6

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an exception, an error or a status of 500 and more; a script, with another than 0."""
        worst = 1 if self.kind == "session" else _SERVER_ERROR
        return bool(self.error) or (self.status or 0) >= worst

    def merged(self, other: Summary) -> Summary:
        """Join what another file has of the same lane.

        Args:
            other: of the same lane id.
        """
        first, second = (other, self) if other.whole and not self.whole else (self, other)
        calls = first.call_ids | second.call_ids
        joined = first._replace(call_ids=calls, calls=len(calls))
        if first.whole:
            return joined
        return joined._replace(start=min(first.start, second.start), end=max(first.end, second.end))

    def as_json(self) -> dict[str, Any]:
        """The summary as data."""
        return {
            "kind": self.kind,
            "file": self.file,
            "lane_id": self.lane_id,
            "session_id": self.session_id,
            "trace_id": self.trace_id,
            "method": self.method,
            "target": self.target,
            "status": self.status,
            "start": iso(self.start),
            "duration_ms": self.duration_ms,
            "calls": self.calls,
            "error": self.error,
            "incomplete": self.incomplete,
            "service": self.service or None,
        }


def newest_first(summaries: Iterable[Summary]) -> list[Summary]:
    """Sort as lists do: what began last comes first; among equals by id.

    Args:
        summaries: in any order.
    """
    return sorted(summaries, key=lambda one: (-one.start, one.lane_id, one.file))


def summarize(lane: Lane) -> Summary:
    """Sum up a lane or a session.

    Args:
        lane: as loaded, with or without payloads.
    """
    main = _session_span(lane) if lane.is_session else lane.entry
    first = main or lane.spans[0]
    attributes = first.attributes
    kind = None if lane.is_session else kinds.of(attributes)
    method, target = kind.label(attributes) if kind is not None else (None, None)
    status = _number(attributes, names.SESSION_EXIT_STATUS) if kind is None else kind.status(attributes)
    calls = frozenset(int(span.span_id or "0", 16) for span in lane.calls)
    return Summary(
        kind="session" if lane.is_session else "lane",
        file=scratch.named(str(lane.file or "")),
        lane_id=lane.id,
        session_id=lane.session_id,
        trace_id=lane.id if lane.is_session else first.trace_id,
        method=method,
        target=_program(lane, main) if lane.is_session else redaction.placeholders(target or _target(first)),
        status=status,
        start=first.start if main else min(span.start for span in lane.spans),
        end=first.over if main else max(span.over for span in lane.spans),
        calls=len(calls),
        error=_session_error(lane, status) if lane.is_session else _entry_error(first, kind),
        incomplete=first.text(names.INCOMPLETE),
        whole=main is not None,
        service=str(lane.resource.get("service.name", "")),
        call_ids=calls,
    )


def iso(time: int) -> str:
    """Write a time as ISO 8601 in UTC, to the microsecond.

    Args:
        time: nanoseconds since the epoch.
    """
    moment = _EPOCH + timedelta(microseconds=time // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def error_text(span: Span) -> str | None:
    """Say what a span failed with: the exception that was recorded, else its status; None when it did not fail.

    Args:
        span: an entry or a call.
    """
    recorded = span.text(names.ERROR)
    if recorded is not None:
        return _exception(recorded)
    if span.status_code != 2:  # noqa: PLR2004 - STATUS_CODE_ERROR of trace.proto
        return None
    for event in reversed(span.events):
        if event.name == "exception":
            parts = (event.attributes.get(f"exception.{part}") for part in ("type", "message"))
            return ": ".join(str(part) for part in parts if part) or "exception"
    return span.status_message or "error"


def _exception(recorded: str) -> str:
    """The exception of :data:`names.ERROR` in words; as it stands when it is damaged."""
    try:
        described = json.loads(recorded)
        arguments = ", ".join(map(str, described["args"]))
        return f"{described['type']}: {arguments}" if arguments else str(described["type"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return recorded


def _entry_error(span: Span, kind: EntryKind | None) -> str | None:
    error = error_text(span)
    told = kind.told(span.attributes) if kind is not None and error in (None, "error") else ""
    return told or error


def _session_error(lane: Lane, status: int | None) -> str | None:
    """How its program failed, and what of it is not in the recording."""
    said = [f"exit status {status}"] if status else []
    # Each time they are all that was counted until then.
    counts = max((span.attributes for span in lane.spans), key=_lost, default={})
    if lost := _lost(counts):
        reasons = counts.get(names.DROPPED_REASON)
        why = ", ".join(map(str, reasons)) if isinstance(reasons, list | tuple) else str(reasons or "no reason given")
        said.append(f"{lost} {'request' if lost == 1 else 'requests'} not recorded ({why})")
    return "; ".join(said) or None


def _lost(attributes: dict[str, object]) -> int:
    return _number(attributes, names.DROPPED_LANES) or 0


def _session_span(lane: Lane) -> Span | None:
    """The session's own span, which is written when its process ends."""
    own = (span for span in lane.spans if span.trace_id == lane.id and span.name.startswith(names.SESSION_SPAN))
    return next(own, None)


def _program(lane: Lane, own: Span | None) -> str:
    if own is not None:
        return own.name.removeprefix(names.SESSION_SPAN)
    parts = Path(lane.file or "").name.split("__")
    if parts[0] == "SESSION" and len(parts) > 1:
        return parts[1]
    return str(lane.resource.get("service.name", "python"))


def _target(span: Span) -> str:
    """Name an entry whose kind we do not know."""
    return span.text("messaging.destination.name") or span.text("url.path") or span.name


def _number(attributes: dict[str, object], name: str) -> int | None:
    value = attributes.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
