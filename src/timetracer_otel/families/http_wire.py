"""HTTP/1 messages as bytes on a connection (RFC 9112): read as they pass, and made for a client to read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from timetracer_otel.families.http_exchange import Reply
from timetracer_otel.seams import Headers

__all__ = ["Chunked", "Fields", "Message", "has_no_body", "wire"]

_SWITCHING = 101
_NO_BODY = frozenset({204, 304})
_STATUS_LINE = re.compile(r"HTTP/(\d(?:\.\d)?) (\d{3})(?: (.*)|$)", re.DOTALL)
_FRAMING = re.compile(rb"\r\n(content-length|transfer-encoding):((?:(?!\r\n(?![ \t])).)*)", re.IGNORECASE | re.DOTALL)
"""The fields that say how a body is delimited, with the lines that continue them."""
_LONGEST_HEAD = 1024 * 1024


def has_no_body(method: str, status: int) -> bool:
    """Whether a response has no body whatever its headers say (RFC 9112, section 6.3)."""
    return method == "HEAD" or status in _NO_BODY or 100 <= status < 200 or (method == "CONNECT" and status // 100 == 2)  # noqa: PLR2004 - classes of status codes


class Chunked:
    """Undoes the chunked transfer coding, piece by piece (RFC 9112, section 7.1)."""

    __slots__ = ("_left", "_line", "_state", "complete", "trailers")

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._state = "size"
        self.trailers: Headers = []
        self.complete = False

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bool]]:
        """Take bytes; give the body's, and whether they continue the chunk before.

        Raises:
            ValueError: this is no chunked coding.
        """
        continues = self._state == "more"
        while data and not self.complete:
            if self._state in {"data", "more"}:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._state = "more" if self._left else "behind"
                yield piece, continues
                continues = False
                continue
            line, end, data = data.partition(b"\n")
            self._line += line + end
            if end:
                whole, self._line = self._line.rstrip(b"\r\n"), b""
                self._take(whole)
                continues = False

    @property
    def missing(self) -> str:
        """What lacks when nothing more comes, see :data:`http_exchange.CUT`."""
        word = {"data": "new", "more": "more"}.get(self._state)
        return "end" if word is None else f"{word} {self._left}"

    def _take(self, line: bytes) -> None:
        if self._state == "behind":
            self._state = "size"
        elif self._state == "size":
            self._left = int(line.partition(b";")[0].strip() or b"0", 16)
            self._state = "data" if self._left else "trailers"
        elif line:
            name, _, value = line.decode("latin-1").partition(":")
            self.trailers.append((name, value.strip()))
        else:
            self.complete = True


class Fields:
    """The header fields of a message, taken apart when they are first asked for: the app waits for its first byte.

    Args:
        lines: between the start line and the empty one.
    """

    def __init__(self, lines: bytes) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    @cached_property
    def _pairs(self) -> Headers:
        pairs: Headers = []
        for line in self._lines.decode("latin-1").split("\r\n") if self._lines else ():
            if line[:1] in {" ", "\t"} and pairs:  # folded (RFC 9112, section 5.2)
                pairs[-1] = (pairs[-1][0], f"{pairs[-1][1]}\r\n{line}")
            else:
                name, _, value = line.partition(":")
                pairs.append((name, value.strip(" \t")))
        return pairs


class Message:
    """One request, or the response to one, as its bytes pass.

    Args:
        answers: the request's method, when this is a response; None for a request.
    """

    __slots__ = ("_answers", "_chunked", "_head", "_left", "complete", "headers", "start", "status")

    def __init__(self, answers: str | None = None) -> None:
        self._answers = answers
        self._head = b""
        self._chunked: Chunked | None = None
        self._left: int | None = 0
        self.start = ""
        """The start line, without its end; empty until the head is whole."""
        self.headers = Fields(b"")
        self.status = ("", 0, "")
        """Version, status code and reason of a response."""
        self.complete = False

    @property
    def trailers(self) -> Headers:
        """What came behind a chunked body."""
        return [] if self._chunked is None else self._chunked.trailers

    @property
    def missing(self) -> str:
        """What lacks of the body when nothing more comes, see :data:`http_exchange.CUT`."""
        return "end" if self._chunked is None else self._chunked.missing

    def feed(self, data: bytes) -> list[tuple[bytes | memoryview, bool]]:
        """Take bytes; give those of the body, and whether they continue the piece before.

        What comes with the head is a view: a client may read 256 KiB at once, and copies cost the time to the first
        byte.

        Raises:
            ValueError: this is no HTTP/1.
        """
        return self._feed_body(data if self.start else self._take_head(data))

    def _feed_body(self, data: bytes | memoryview) -> list[tuple[bytes | memoryview, bool]]:
        if self.complete or not self.start:
            return []
        if self._chunked is not None:
            pieces: list[tuple[bytes | memoryview, bool]] = list(self._chunked.feed(bytes(data)))
            self.complete = self._chunked.complete
            return pieces
        if self._left is None:
            return [(data, False)] if data else []
        piece = data[: self._left]
        self._left -= len(piece)
        self.complete = not self._left
        return [(piece, False)] if piece else []

    def end(self) -> None:
        """Take the end of the connection: it ends a body that nothing else delimits."""
        if self.start and self._left is None and self._chunked is None:
            self.complete = True

    def _take_head(self, data: bytes) -> bytes | memoryview:
        data = self._head + data if self._head else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if len(data) > _LONGEST_HEAD:
                raise ValueError("a head without end")
            self._head = data
            return b""
        self._head = b""
        head = data[:end].lstrip(b"\r\n")
        line, _, lines = head.partition(b"\r\n")
        self.start = line.decode("latin-1")
        if self._answers is not None:
            self._take_status()
            if 100 <= self.status[1] < 200 and self.status[1] != _SWITCHING:  # noqa: PLR2004 - interim
                self.start = ""
                return self._take_head(data[end + 4 :])
        self.headers = Fields(lines)
        self._frame(head)
        return memoryview(data)[end + 4 :]

    def _take_status(self) -> None:
        found = _STATUS_LINE.match(self.start)
        if found is None:
            self.start = ""
            raise ValueError("no status line")
        self.status = (found[1], int(found[2]), found[3] or "")

    def _frame(self, head: bytes) -> None:
        """Find out how the body is delimited (RFC 9112, section 6.3)."""
        found = {name.lower(): value for name, value in _FRAMING.findall(head)}
        length = found.get(b"content-length", b"").strip()
        if self._answers is not None and has_no_body(self._answers, self.status[1]):
            self.complete = True
        elif b"chunked" in found.get(b"transfer-encoding", b"").lower():
            self._chunked, self._left = Chunked(), None
        elif length.isdigit():
            self._left = int(length)
            self.complete = not self._left
        elif self._answers is None:
            self.complete = True
        else:
            self._left = None


def wire(reply: Reply, method: str) -> Iterator[bytes]:
    """Give a recorded response as a server would send it, in the pieces in which it came.

    Args:
        reply: the response.
        method: of the request.
    """
    version = reply.version if reply.version in {"1.0", "1.1"} else "1.1"
    lines = [f"HTTP/{version} {reply.status} {reply.reason}", *(f"{name}: {value}" for name, value in reply.headers)]
    yield ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
    if has_no_body(method, reply.status):
        return
    if "chunked" not in reply.header("transfer-encoding").lower():
        yield from reply.chunks()
        return
    word, _, missing = reply.cut.partition(" ")
    pieces = [*reply.chunks(), *([b""] if word == "new" else [])]
    last = pieces.pop() if missing else b""
    for piece in pieces:
        yield b"%x\r\n%b\r\n" % (len(piece), piece)
    if missing:
        yield b"%x\r\n%b" % (len(last) + int(missing), last)
    if reply.complete:
        trailers = "".join(f"{name}: {value}\r\n" for name, value in reply.trailers)
        yield b"0\r\n" + trailers.encode("latin-1", "replace") + b"\r\n"
