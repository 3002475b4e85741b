"""Loading cassettes: from files to lanes and sessions."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Final

from timetracer_otel import spans as names
from timetracer_otel.cassette.chunks import fold_body, fold_chunks
from timetracer_otel.cassette.model import Cassette, Lane, Span
from timetracer_otel.cassette.reading import read_spans
from timetracer_otel.cassette.sessions import SessionSearch
from timetracer_otel.errors import CassetteError

__all__ = ["empty", "gathered", "load", "load_alone", "outline", "without_payloads"]

_PAYLOADS: Final = ("timetracer.", names.HTTP_REQUEST_BODY, names.HTTP_RESPONSE_BODY)
"""How the attributes begin of which a part knows better than the span that it completes."""

_BULK: Final = (
    names.REQUEST,
    names.RESPONSE,
    names.HTTP_REQUEST_BODY,
    names.HTTP_RESPONSE_BODY,
    names.DRAWS,
    names.SESSION_STDIN,
    names.SESSION_STDOUT,
    names.SESSION_STDERR,
)

SpanKey = tuple[str, str]
"""Trace id and span id."""


def load(paths: Iterable[str | PathLike[str]]) -> Cassette:
    """Load cassettes, with the sessions that their lanes name.

    A session that is not among the files is looked for beside the lane's file and in the folders of other hours and
    days, as are the sessions of its parent processes. One that is nowhere is left out: its lanes still load.

    A span that stands in several files is taken once, from where it has most attributes. Parts are folded into the
    spans that they complete; a part whose span is nowhere stays as it is.

    Args:
        paths: the files.

    Raises:
        CassetteError: a file is missing, damaged, foreign, or without any span.
    """
    loaded = _Files()
    for path in paths:
        loaded.read(Path(path))
    while sessions := loaded.search.files():
        for path in sessions:
            loaded.read(path)
    return _grouped(loaded)


def load_alone(paths: Iterable[str | PathLike[str]]) -> Cassette:
    """As :func:`load`, without looking for the sessions that the lanes name.

    Args:
        paths: the files.

    Raises:
        CassetteError: as :func:`load`.
    """
    return gathered((path, read_spans(path)) for path in map(Path, paths))


def gathered(sources: Iterable[tuple[Path, Iterable[Span]]]) -> Cassette:
    """Put spans that were read already together, as :func:`load` does, without looking for sessions.

    Args:
        sources: files, and spans of each.

    Raises:
        CassetteError: as :func:`load`.
    """
    loaded = _Files()
    for path, spans in sources:
        loaded.take(path, spans)
    return _grouped(loaded)


def empty(path: Path) -> CassetteError:
    """Give the error of a file without any span.

    Args:
        path: the file.
    """
    return CassetteError("holds no span: nothing was recorded, or it was not written to its end", file=path)


def outline(path: str | PathLike[str]) -> Cassette:
    """Load one file alone and without payloads, to list what is in it in little memory.

    Args:
        path: the file.

    Raises:
        CassetteError: as :func:`load`, but that a payload was cut is not noticed.
    """
    loaded = _Files()
    loaded.take(Path(path), map(without_payloads, read_spans(path)))
    return _grouped(loaded)


def without_payloads(span: Span) -> Span:
    """Drop the payloads of a span, and give it.

    Args:
        span: as read; it is changed.
    """
    for name in _BULK:
        span.attributes.pop(name, None)
    return span


class _Files:
    """The spans of the files read so far, each once, and where each was first."""

    def __init__(self) -> None:
        self.files: dict[Path, None] = {}
        self.search = SessionSearch()
        self.spans: dict[SpanKey, Span] = {}
        self.file_of: dict[SpanKey, Path] = {}

    def read(self, path: Path) -> None:
        if path not in self.files:
            self.take(path, read_spans(path))

    def take(self, path: Path, spans: Iterable[Span]) -> None:
        self.files[path] = None
        found = False
        for span in spans:
            found = True
            self.search.saw(span, path)
            key = (span.trace_id, span.span_id)
            known = self.spans.get(key)
            if known is None:
                self.file_of[key] = path
            if known is None or len(known.attributes) < len(span.attributes):
                self.spans[key] = span
        if not found:
            raise empty(path)


def _fold_parts(spans: dict[SpanKey, Span]) -> None:
    """Let every part complete its span, and drop it."""
    parts = [(key, span) for key, span in spans.items() if names.PART in span.attributes]
    for key, part in parts:
        fold = _FOLDS.get(str(part.attributes[names.PART]))
        whole = spans.get((part.trace_id, part.parent_id or ""))
        if fold is not None and whole is not None:
            fold(whole, part)
            del spans[key]
    fold_chunks(spans)


def _fold_entry(whole: Span, part: Span) -> None:
    """Join what an entry's seam saw to the entry's span. The span keeps its own values, except for payloads."""
    for name, value in part.attributes.items():
        if name != names.PART and (name not in whole.attributes or name.startswith(_PAYLOADS)):
            whole.attributes[name] = value


_FOLDS: Final = {"entry": _fold_entry, "body": fold_body}
"""How to fold each kind of part."""


def _grouped(loaded: _Files) -> Cassette:
    _fold_parts(loaded.spans)
    lanes: dict[str, list[SpanKey]] = {}
    for key, span in loaded.spans.items():
        lanes.setdefault(span.lane_id, []).append(key)
    made = [_lane(lane_id, keys, loaded) for lane_id, keys in lanes.items()]
    made.sort(key=lambda lane: lane.spans[0].start)
    return Cassette(
        lanes=[lane for lane in made if not lane.is_session],
        sessions={lane.id: lane for lane in made if lane.is_process},
        files=list(loaded.files),
    )


def _lane(lane_id: str, keys: list[SpanKey], loaded: _Files) -> Lane:
    """A lane of spans in order of start; its file and session are those of its entry, else of its first span."""
    keys.sort(key=lambda key: loaded.spans[key].start)
    spans = [loaded.spans[key] for key in keys]
    entries = [key for key in keys if loaded.spans[key].is_entry]
    sessions = [loaded.spans[key].session_id for key in entries + keys]
    session_id = next((session for session in sessions if session is not None), None)
    return Lane(lane_id, session_id, spans, loaded.file_of[(entries or keys)[0]])
