"""HTTP/1 messages as bytes on a connection (RFC 9112): read as they pass, whatever a peer makes of the syntax.

Nothing here refuses a message: that is for the library, whose verdict is recorded. What is written otherwise than
:func:`http_render.canonical` would write it has its syntax kept, and comes again byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from timetracer_otel import redaction
from timetracer_otel.families.http.rendering import Segment, canonical_head, has_no_body
from timetracer_otel.seams import Headers

__all__ = ["Chunked", "Fields", "Message", "Syntax"]

_CONTINUE: Final = 100
_SWITCHING: Final = 101
INTERIM: Final = frozenset(range(100, 200)) - {_SWITCHING}
"""Status codes of responses that another one follows (RFC 9110, section 15.2)."""
_STATUS_LINE = re.compile(r"HTTP/(\d(?:\.\d)?)\s+(\d{3})(?:\s(.*)|\s*)$", re.DOTALL)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(rb"\r?\n(?![ \t])")
"""The end of a field line; one that begins with white space continues it (RFC 9112, section 5.2)."""
_FIELD = re.compile(rb"([^:]*):[ \t]*(.*?)[ \t]*", re.DOTALL)
_SIZE = re.compile(rb"[0-9A-Fa-f]+")
_LONGEST_HEAD: Final = 1024 * 1024
_LONGEST_LINE: Final = 64 * 1024
_MOST_SEGMENTS: Final = 100_000
_MOST_BEHIND: Final = 64 * 1024
"""Bytes kept of what a peer sends behind the end of a response."""


class Syntax:
    """How the bytes of a response are written: what is neither the value of a field nor the body, between these.

    ``canonical`` tells whether :func:`http_render.canonical` writes the same; only otherwise it is kept.
    """

    __slots__ = ("_too_long", "canonical", "segments")

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.canonical = True
        self._too_long = False

    @property
    def is_whole(self) -> bool:
        """Whether all segments are there: so many are not kept of an endless response."""
        return not self._too_long

    def literal(self, raw: bytes, *, canonical: bool) -> None:
        """Take bytes that are only syntax."""
        self.canonical = self.canonical and canonical
        if not raw:
            return
        text = raw.decode("latin-1")
        if self.segments and isinstance(self.segments[-1], str):
            self.segments[-1] += text
        else:
            self._add(text)

    def value(self) -> None:
        """Take that the value of a field, or of a trailer, stands here."""
        self._add(None)

    def body(self, size: int) -> None:
        """Take that so many bytes of the body stand here."""
        if self.segments and isinstance(self.segments[-1], int):
            self.segments[-1] += size
        elif size:
            self._add(size)

    def lines(self, raw: bytes, found: list[tuple[str, int, int]], *, canonical: bool) -> None:
        """Take field lines: all of them but the values."""
        position = 0
        for _, start, end in found:
            self.literal(raw[position:start], canonical=canonical)
            self.value()
            position = end
        self.literal(raw[position:], canonical=canonical)

    def _add(self, segment: Segment) -> None:
        if len(self.segments) < _MOST_SEGMENTS:
            self.segments.append(segment)
        else:
            self._too_long = True


def _fields(raw: bytes, start: int, end: int) -> list[tuple[str, int, int]]:
    """Find the fields in a head: their names, and where their values begin and end. Lines without a colon are none."""
    found = []
    while start < end:
        line_end = _LINE_END.search(raw, start, end)
        stop = line_end.start() if line_end is not None else end
        field = _FIELD.fullmatch(raw, start, stop)
        if field is not None:
            found.append((field[1].decode("latin-1"), field.start(2), field.end(2)))
        start = line_end.end() if line_end is not None else end
    return found


class Chunked:
    """Undoes the chunked transfer coding, piece by piece (RFC 9112, section 7.1).

    Where it is none, all that follows counts as body: the library says what it thinks of it.

    Args:
        syntax: takes what is not body.
    """

    __slots__ = ("_left", "_line", "_state", "_syntax", "complete", "trailers")

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self._line = b""
        self._left = 0
        self._state = "size"
        self.trailers: Headers = []
        self.complete = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Take bytes; give the body's, and whether they continue the chunk before."""
        continues = self._state == "more"
        while data and not self.complete:
            if self._state in {"data", "more", "broken"}:
                size = len(data) if self._state == "broken" else self._left
                piece, data = data[:size], data[size:]
                self._passed(piece)
                yield piece, continues
                continues = False
                continue
            line, end, data = data.partition(b"\n")
            self._line += line + end
            continues = False
            if end:
                whole, self._line = self._line, b""
                self._take(whole)
            elif len(self._line) > _LONGEST_LINE:
                data, self._line = self._line, b""
                self._break()
        if data:
            self._syntax.literal(data, canonical=False)

    def flush(self) -> None:
        """Take that nothing more comes."""
        self._syntax.literal(self._line, canonical=self.complete)
        self._line = b""

    def _passed(self, piece: bytes) -> None:
        self._syntax.body(len(piece))
        if self._state != "broken":
            self._left -= len(piece)
            self._state = "more" if self._left else "behind"

    def _break(self) -> None:
        self._state = "broken"
        self._syntax.canonical = False

    def _take(self, line: bytes) -> None:
        content = line.rstrip(b"\r\n")
        if self._state == "trailers" and content:
            self._take_trailer(line)
        elif self._state == "size":
            self._take_size(line)
        else:  # behind a chunk, or the end of the trailers: an empty line
            self._syntax.literal(line, canonical=line == b"\r\n")
            self.complete = self._state == "trailers"
            self._state = "size"
            if content:
                self._break()

    def _take_size(self, line: bytes) -> None:
        size = _SIZE.match(line)
        if size is None or len(size[0]) > 16:  # noqa: PLR2004 - digits of 64 bits
            self._syntax.literal(line, canonical=False)
            self._break()
            return
        self._left = int(size[0], 16)
        self._syntax.literal(line, canonical=line == b"%x\r\n" % self._left)
        self._state = "data" if self._left else "trailers"

    def _take_trailer(self, line: bytes) -> None:
        found = _fields(line, 0, len(line.rstrip(b"\r\n")))
        for name, start, end in found:
            value = line[start:end].decode("latin-1")
            self.trailers.append((name, value))
        written = "".join(f"{name}: {value}\r\n" for name, value in self.trailers[-len(found) :] if found)
        self._syntax.lines(line, found, canonical=line == written.encode("latin-1"))


class Fields:
    """The header fields of a message, taken apart when they are first asked for: the app waits for its first byte.

    Args:
        raw: the head.
        start: where its first field begins.
        end: where its last one ends.
    """

    def __init__(self, raw: bytes = b"", start: int = 0, end: int = 0) -> None:
        self._raw = raw
        self._start = start
        self._end = end

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    @cached_property
    def found(self) -> list[tuple[str, int, int]]:
        """Their names, and where in the head their values begin and end."""
        return _fields(self._raw, self._start, self._end)

    @cached_property
    def _pairs(self) -> Headers:
        return [(name, self._raw[start:end].decode("latin-1")) for name, start, end in self.found]

    def named(self, name: str) -> list[str]:
        """The values of the fields of that lower-case name."""
        return [value for key, value in self if key.lower() == name]


class Message:
    """One request, or the response to one, as its bytes pass.

    Args:
        answers: the request's method, when this is a response; None for a request.
        interim: status codes that the client takes for those of interim responses.
    """

    __slots__ = (
        "_answers",
        "_chunked",
        "_head",
        "_interim",
        "_left",
        "_one_framing",
        "complete",
        "headers",
        "skipped",
        "start",
        "status",
        "syntax",
    )

    def __init__(self, answers: str | None = None, interim: frozenset[int] = INTERIM) -> None:
        self._answers = answers
        self._interim = interim
        self._head = b""
        self._chunked: Chunked | None = None
        self._left: int | None = 0
        self._one_framing = True
        self.start = ""
        """The start line, without its end; empty until the head is whole."""
        self.headers = Fields()
        self.status = ("", 0, "")
        """Version, status code and reason of a response."""
        self.syntax = Syntax()
        self.skipped = 0
        """Bytes of what is not kept at all: the response that says to go on, and too much behind the end."""
        self.complete = False

    @property
    def certain(self) -> bool:
        """Whether every reader agrees where the message ends; else only its reader knows."""
        return self._one_framing and self.syntax.canonical

    @property
    def kept(self) -> list[Segment] | None:
        """How it is written, where that is not certain; of a head that is none, or not whole, all of it."""
        if not self.start:
            came = [*self.syntax.segments, self._head.decode("latin-1")] if self._head else self.syntax.segments
            return came or None
        return None if self.certain or not self.syntax.is_whole else self.syntax.segments

    @property
    def is_chunked(self) -> bool:
        """Whether the body came in chunks."""
        return self._chunked is not None

    @property
    def trailers(self) -> Headers:
        """What came behind a chunked body."""
        return [] if self._chunked is None else self._chunked.trailers

    def feed(self, data: bytes) -> list[tuple[bytes | memoryview, bool]]:
        """Take bytes; give those of the body, and whether they continue the piece before.

        What comes with the head is a view: a client may read 256 KiB at once, and copies cost the time to the first
        byte.
        """
        return self._feed_body(data if self.start else self._take_head(data))

    def _feed_body(self, data: bytes | memoryview) -> list[tuple[bytes | memoryview, bool]]:
        if not self.start or not data:
            return []
        if self.complete:
            self._behind(data)
            return []
        if self._chunked is not None:
            pieces: list[tuple[bytes | memoryview, bool]] = list(self._chunked.feed(bytes(data)))
            self.complete = self._chunked.complete
            return pieces
        piece = data if self._left is None else data[: self._left]
        self.syntax.body(len(piece))
        if self._left is not None:
            self._left -= len(piece)
            self.complete = not self._left
            self._behind(data[len(piece) :])
        return [(piece, False)]

    def _behind(self, data: bytes | memoryview) -> None:
        if len(data) > _MOST_BEHIND:
            self.skipped += len(data)
        elif data:
            self.syntax.literal(bytes(data), canonical=False)

    def end(self) -> None:
        """Take the end of the connection: it ends a body that nothing else delimits."""
        self.stop()
        if self.start and self._left is None and self._chunked is None:
            self.complete = True

    def stop(self) -> None:
        """Take that nothing more is seen."""
        if self._chunked is not None:
            self._chunked.flush()

    def accept(self, status: int, reason: str, version: str) -> bytes:
        """Take that the client has read a head where we saw none; all that came counts as body, and is given."""
        came, self._head = self._head, b""
        self.start, self.status = f"HTTP/{version} {status} {reason}", (version, status, reason)
        self._left, self._one_framing = None, False
        if came:
            self.syntax.body(len(came))
            self.syntax.canonical = False
        return came

    def _take_head(self, data: bytes) -> bytes | memoryview:
        searched = max(0, len(self._head) - 4)
        data = self._head + data if self._head else data
        blank = len(data) - len(data.lstrip(b"\r\n"))
        found = _HEAD_END.search(data, max(blank, searched))
        line_end = None if found is None else _LINE_END.search(data, blank)  # not of a head that goes on and on
        if found is None or line_end is None or not self._take_start(data[blank : line_end.start()]):
            # Of what is no head, so much is kept as any client reads of one.
            self._head = data if len(data) <= _LONGEST_HEAD else self._head
            return b""
        raw, rest, self._head = data[: found.end()], memoryview(data)[found.end() :], b""
        self.headers = Fields(raw, line_end.end(), found.start())
        if self._answers is None:
            self._frame()
        elif self.status[1] in self._interim:
            self._pass_over(raw)
            return self._take_head(bytes(rest))
        else:
            head = canonical_head(*self.status, self.headers).encode("latin-1")
            usual = head == raw and self.status[0] in {"1.0", "1.1"}
            self.syntax.lines(raw, self.headers.found, canonical=usual)
            self._frame()
        return rest

    def _take_start(self, line: bytes) -> bool:
        start = line.decode("latin-1")
        if self._answers is not None:
            found = _STATUS_LINE.match(start)
            if found is None:
                return False
            self.status = (found[1], int(found[2]), found[3] or "")
        self.start = start
        return bool(start)

    def _pass_over(self, raw: bytes) -> None:
        """Go on behind an interim response; the one that says to go on is said anew in a replay."""
        self.start = ""
        if self.status[1] == _CONTINUE:
            self.skipped += len(raw)
        else:
            self.syntax.literal(redaction.text(raw.decode("latin-1")).encode("latin-1"), canonical=False)

    def _frame(self) -> None:
        """Find out how the body is delimited (RFC 9112, section 6.3)."""
        lengths, codings = self.headers.named("content-length"), self.headers.named("transfer-encoding")
        length = lengths[-1] if lengths else ""
        self._one_framing = len(lengths) + len(codings) <= 1
        if self._answers is not None and has_no_body(self._answers, self.status[1]):
            self.complete = True
        elif codings and "chunked" in ",".join(codings).lower():
            self._chunked, self._left = Chunked(self.syntax), None
            self._one_framing = self._one_framing and codings[0].lower() == "chunked"
        elif length.isascii() and length.isdigit():
            self._left = int(length)
            self.complete = not self._left
        elif self._answers is None:
            self.complete = True
        else:
            self._left = None
            self._one_framing = not lengths and not codings
