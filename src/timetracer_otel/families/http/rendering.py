"""Recorded HTTP/1 responses as bytes on a connection, for a client to read again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise

from timetracer_otel.families.http.messages import Reply, Segment

__all__ = ["Segment", "canonical_head", "has_no_body", "wire"]

_NO_BODY = frozenset({204, 304})


def has_no_body(method: str, status: int) -> bool:
    """Whether a response has no body whatever its headers say (RFC 9112, section 6.3)."""
    return method == "HEAD" or status in _NO_BODY or 100 <= status < 200 or (method == "CONNECT" and status // 100 == 2)  # noqa: PLR2004 - classes of status codes


def wire(reply: Reply, method: str) -> Iterator[bytes]:
    """Give a recorded response as its server sent it, in the pieces in which it came.

    Args:
        reply: the response.
        method: of the request.
    """
    pieces = _by_syntax(reply)
    return _as_arrived(canonical(reply, method) if pieces is None else pieces, reply.arrivals)


def canonical_head(version: str, status: int, reason: str, headers: Iterable[tuple[str, str]]) -> str:
    """Write a head as most servers do."""
    lines = [f"HTTP/{version} {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines) + "\r\n\r\n"


def canonical(reply: Reply, method: str) -> Iterator[bytes]:
    """Write a response as most servers do, its head and each chunk as one piece."""
    version = reply.version if reply.version in {"1.0", "1.1"} else "1.1"
    yield canonical_head(version, reply.status, reply.reason, reply.headers).encode("latin-1", "replace")
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


def _by_syntax(reply: Reply) -> list[bytes] | None:
    """Write a response by its recorded syntax; None when it has none, or has other values now."""
    if reply.syntax is None or sum(size for size in reply.syntax if isinstance(size, int)) != len(reply.body):
        return None
    values, body, position = [value for _, value in (*reply.headers, *reply.trailers)], memoryview(reply.body), 0
    if sum(segment is None for segment in reply.syntax) != len(values):
        return None
    written: list[bytes] = []
    for segment in reply.syntax:
        if isinstance(segment, int):
            written.append(bytes(body[position : position + segment]))
            position += segment
        else:
            written.append((values.pop(0) if segment is None else segment).encode("latin-1", "replace"))
    return [b"".join(written)]


def _as_arrived(pieces: Iterable[bytes], arrivals: list[int]) -> Iterator[bytes]:
    """Cut what a peer sent where the connection gave it."""
    if not arrivals:
        yield from pieces
        return
    whole = list(pieces)
    data = memoryview(b"".join(whole))
    # Masked values and ids of the live run have other lengths, and mostly stand in the head.
    first, *others = arrivals
    arrivals = [first + len(data) - sum(arrivals), *others]
    if min(arrivals) < 1:
        yield from whole
        return
    yield from (bytes(data[start:end]) for start, end in pairwise(accumulate(arrivals, initial=0)))
