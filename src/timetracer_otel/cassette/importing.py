"""Turning any source of traces into a cassette directory: a file a lane, each whole or absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from timetracer_otel import sealing
from timetracer_otel import spans as names
from timetracer_otel.cassette import finding, framing, storage, vcr, version1
from timetracer_otel.cassette.decoding import attributes_of
from timetracer_otel.cassette.naming import ENDINGS, LATEST, lane_path, safe_session_id, session_file_id, session_path
from timetracer_otel.cassette.outlines import Outline
from timetracer_otel.cassette.reading import DocumentPart, Json, document_of, encoded, parted
from timetracer_otel.cassette.sniffing import is_version_1
from timetracer_otel.cassette.sorting import Sorter
from timetracer_otel.cassette.spool import Pieces
from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError

__all__ = ["Imported", "import_all"]

_ENTRIES: Final = (2, 5, "SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER")


@dataclass
class Imported:
    """The result of an import.

    Attributes:
        lanes: how many lanes were written or completed.
        sessions: how many sessions were.
        known: how many of both were in the directory already.
        left_out: why files or messages were not taken.
        cannot: files of timetracer 1.x, and what a replay of each cannot do.
    """

    lanes: int = 0
    sessions: int = 0
    known: int = 0
    left_out: list[CassetteError] = field(default_factory=list)
    cannot: list[tuple[Path, str]] = field(default_factory=list)


def import_all(  # noqa: PLR0913, PLR0917 - what an import is made of, and the last is needed seldom
    sources: Sequence[str],
    directory: Path,
    to: Path,
    compression: Compression,
    libraries: Mapping[str, version1.Library],
    execution: Callable[[str], Mapping[str, Any]] | None = None,
) -> Imported:
    """Import cassettes of any kind. What is there already is not written again.

    Of a damaged file every message is taken that is whole.

    Args:
        sources: as :func:`finding.find` takes them; directories are searched for cassettes of timetracer 1.x too.
        directory: where ``latest`` is looked for.
        to: the cassette directory to write.
        compression: of what is written.
        libraries: as :func:`version1.convert` takes them.
        execution: gives the attributes of the entry of a cassette of vcrpy, by its name; without it there are none.

    Returns:
        What was done and what was not.

    Raises:
        CassetteError: a source is not there, or the directory cannot be written.
    """
    done, sorter = Imported(), Sorter()
    found = [path.absolute() for path in finding.find(sources, directory, _is_wanted, done.left_out)]
    client = libraries["requests"].plugin if "requests" in libraries else ""
    of_vcr = set() if execution is None else set(filter(vcr.is_vcr, found))
    for path in found:
        if path in of_vcr and execution is not None:
            convert = partial(vcr.convert, path, execution(vcr.title(path)), client)
            _import_vcr(path, to / _below(path, sources), compression, done, convert)
    more = [path for path in found if path not in of_vcr and not (of_vcr and path.is_relative_to(to.absolute()))]
    while more:  # not what stands beside cassettes of vcrpy that are imported where they are
        for path in more:
            if path not in sorter.files:
                sorter.files.add(path)
                with suppress(_Nothing):
                    sorter.take_apart(path, _messages(path, done, libraries), done.left_out)
        more = sorter.search.files()
    if sorter.spool is None:
        return done
    sorter.spool.close()
    pieces = Pieces(str(sorter.spool.path))
    newest = (0, Path())
    for draft in sorter.drafts.values():
        outline = draft.outline()
        path = _write(outline, pieces, to, compression, done)
        if not outline.is_session:
            newest = max(newest, (outline.start, path))
    if newest[0] and not (to / LATEST).exists():
        storage.point_latest(to, newest[1])
    return done


def _below(path: Path, sources: Sequence[str]) -> Path:
    """Give the folder of a file below the source that it was found in: tests are found by it."""
    folders = (Path(source).absolute() for source in sources)
    return next((path.parent.relative_to(one) for one in folders if one in path.parents), Path())


def _import_vcr(
    path: Path, folder: Path, compression: Compression, done: Imported, convert: Callable[[], Json]
) -> None:
    """Write a cassette of vcrpy as a lane, under its own name; one that is there already stays."""
    name = vcr.title(path)
    if any((folder / (name + ending)).exists() for ending in ENDINGS.values()):
        done.known += 1
        return
    sealing.make_key()  # what a recording does first: its secrets are sealed
    try:
        document = convert()
    except CassetteError as error:
        done.left_out.append(error.with_traceback(None))
        return
    line = storage.compress(encoded(document) + b"\n", compression)
    storage.write_whole(folder / (name + ENDINGS[compression]), line)
    done.lanes += 1


class _Nothing(Exception):  # noqa: N818 - no error: why is noted already
    """A file gave nothing."""


def _is_wanted(path: Path) -> bool:
    return finding.is_cassette(path) or is_version_1(path) or vcr.is_vcr(path)


def _messages(
    path: Path, done: Imported, libraries: Mapping[str, version1.Library]
) -> Iterator[dict[str, DocumentPart]]:
    """Yield the whole messages of a file, by lane; damaged ones are noted."""
    empty = True
    for parts in _of_version_1(path, done, libraries) if is_version_1(path) else _salvaged(path, done):
        empty = empty and not parts
        yield parts
    if empty:
        if not any(error.file == str(path) for error in done.left_out):
            done.left_out.append(CassetteError("holds no span", file=path))
        raise _Nothing


def _of_version_1(
    path: Path, done: Imported, libraries: Mapping[str, version1.Library]
) -> Iterator[dict[str, DocumentPart]]:
    try:
        document, problems = version1.convert(path, libraries)
    except CassetteError as error:
        done.left_out.append(error.with_traceback(None))
        return
    done.cannot += [(path, problem) for problem in problems]
    yield parted(document, framing.TracesMessage(1, b""), path)


def _salvaged(path: Path, done: Imported) -> Iterator[dict[str, DocumentPart]]:
    messages = framing.read_messages(path)
    while True:
        try:
            message = next(messages, None)
        except CassetteError as error:  # there is no telling where the next message would begin
            done.left_out.append(error.with_traceback(None))
            return
        if message is None:
            return
        try:
            yield parted(document_of(message, path), message, path)
        except CassetteError as error:
            done.left_out.append(error.with_traceback(None))


def _write(outline: Outline, pieces: Pieces, to: Path, compression: Compression, done: Imported) -> Path:
    """Write a lane or a session, or complete its file; give the file."""
    documents = list(pieces.documents(outline.pieces))
    path = _path(outline, documents, to, compression)
    for kind, ending in ENDINGS.items():  # an earlier import may have compressed otherwise
        other = path.with_name(path.name.rpartition(ENDINGS["none"])[0] + ending)
        if other.exists():
            path, compression = other, kind
    there = [document_of(message, path) for message in framing.read_messages(path)] if path.exists() else []
    kept = _each_once([*there, *documents])
    if there and kept == _each_once(there):
        done.known += 1
        return path
    storage.write_whole(path, storage.compress(b"".join(encoded(one) + b"\n" for one in kept), compression))
    if outline.is_session:
        done.sessions += 1
    else:
        done.lanes += 1
    return path


def _path(outline: Outline, documents: list[Json], to: Path, compression: Compression) -> Path:
    spans = list(_spans(documents))
    if outline.is_session:
        there = (
            path for path in to.glob("*/*/SESSION__*") if session_file_id(path.name) == safe_session_id(outline.id)
        )
        program = _program(documents) or outline.service or "python"
        made = session_path(to, outline.start, program, outline.id, compression, _place(documents))
        return min(there, default=made)  # wherever it was begun
    first = max(spans, key=lambda span: (_start(span) == outline.start, span.get("kind") in _ENTRIES))
    method = outline.method or "TRACE"
    route = outline.route or str(first.get("name", ""))
    trace_id, span_id = _key(first)
    return lane_path(to, outline.start, method, route, trace_id, span_id, compression)


def _place(documents: list[Json]) -> str:
    """Which child of its parent the process of a session is, as its resource says; empty of none."""
    resources = (one.get("resource") or {} for document in documents for one in _items(document, "resourceSpans", ""))
    return next((str(place) for one in resources if (place := attributes_of(one).get(names.SESSION_PLACE))), "")


def _program(documents: list[Json]) -> str:
    """The program whose session this is: as its own span names it, else by its command line."""
    titles = (str(span.get("name", "")) for span in _spans(documents))
    own = next((title for title in titles if title.startswith(names.SESSION_SPAN)), "")
    if own:
        return own.removeprefix(names.SESSION_SPAN)
    resources = (one.get("resource") or {} for document in documents for one in _items(document, "resourceSpans", ""))
    arguments = next((attributes_of(one).get("process.command_args") for one in resources), None)
    words = [str(word) for word in arguments] if isinstance(arguments, list) else []
    if "-m" in words[1:-1]:
        return words[words.index("-m") + 1].rpartition(".")[2]
    return Path(words[1]).stem if len(words) > 1 and not words[1].startswith("-") else ""


def _each_once(documents: list[Json]) -> list[Json]:
    """Documents without the spans that are in them twice: of two, the one with more attributes stays."""
    best: dict[tuple[str, str], Json] = {}
    for span in _spans(documents):
        known = best.get(_key(span))
        if known is None or len(known.get("attributes") or ()) < len(span.get("attributes") or ()):
            best[_key(span)] = span
    chosen = {id(span) for span in best.values()}
    kept = []
    for document in documents:
        resources = []
        for entry in _items(document, "resourceSpans", "resource_spans"):
            groups = []
            for group in _items(entry, "scopeSpans", "scope_spans"):
                spans = [span for span in _items(group, "spans", "spans") if id(span) in chosen]
                if spans:
                    groups.append({**group, "spans": spans})
            if groups:
                resources.append({**entry, "scopeSpans": groups})
        if resources:
            kept.append({**document, "resourceSpans": resources})
    return kept


def _spans(documents: list[Json]) -> Iterator[Json]:
    for document in documents:
        for entry in _items(document, "resourceSpans", "resource_spans"):
            for group in _items(entry, "scopeSpans", "scope_spans"):
                yield from _items(group, "spans", "spans")


def _items(message: Json, camel: str, snake: str) -> list[Any]:
    return message.get(camel) or message.get(snake) or []


def _key(span: Json) -> tuple[str, str]:
    trace_id, span_id = span.get("traceId") or span.get("trace_id"), span.get("spanId") or span.get("span_id")
    return str(trace_id).lower(), str(span_id).lower()


def _start(span: Json) -> int:
    return int(span.get("startTimeUnixNano") or span.get("start_time_unix_nano") or 0)
