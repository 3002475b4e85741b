"""Reading HTTP/1 from a connection: no bytes break it, what it keeps comes again, and it sees what h11 sees."""

from __future__ import annotations

from itertools import pairwise

import h11
from hypothesis import example, given
from hypothesis import strategies as st

from tests.http.syntax import SYNTAX
from timetracer_otel.families.http.messages import Reply
from timetracer_otel.families.http.rendering import wire
from timetracer_otel.families.http.wire import Message

GRAMMAR = st.lists(
    st.sampled_from([
        b"HTTP/1.1 200 OK", b"HTTP/1.0 404 ", b"HTTP/1.1 100 Continue", b"HTTP/1.1 103 Hints",
        b"\r\n", b"\n", b"\r", b" ",
        b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"X-A:", b"X-B: c \t",
        b":", b"5", b"0", b"a;x=y", b"zz", b"-1", b"hello", b"\xff\x00", b"\r\n\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n",
    ]),
    max_size=30,
).map(b"".join)  # fmt: skip
"""Bytes that look like HTTP, and mostly are none."""
CUTS = st.lists(st.integers(0, 400), max_size=6)
TOKEN = st.text(st.sampled_from("abcXYZ-019"), min_size=1, max_size=8).map(lambda text: "X" + text)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(ends) if end > start]


def _read(data: bytes, cuts: list[int]) -> tuple[Message, list[bytes]]:
    message = Message("GET")
    body: list[bytes] = []
    for part in _pieces(data, cuts):
        for piece, continues in message.feed(part):
            if continues and body:
                body[-1] += bytes(piece)
            else:
                body.append(bytes(piece))
    return message, body


def _again(message: Message, body: list[bytes]) -> bytes:
    version, status, reason = message.status
    reply = Reply(status, reason, version, list(message.headers), b"".join(body), [len(piece) for piece in body])
    reply.trailers, reply.syntax, reply.complete = message.trailers, message.kept, message.complete
    return b"".join(wire(reply, "GET"))


@given(GRAMMAR | st.binary(max_size=200) | st.sampled_from([b"".join(pieces) for pieces in SYNTAX.values()]), CUTS)
@example(b"HTTP/1.1 103 Hints\r\n\r\n", [])
@example(b"HTTP/1.0 200 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\neh\x00\x00o\r\n0\r\n\r\n", [51])
def test_whatever_comes_is_kept_as_it_came(data: bytes, cuts: list[int]) -> None:
    """No bytes raise, and what is written again of them is they, but for responses that say to go on."""
    message, body = _read(data, cuts)
    message.end()
    if message.start and not message.skipped:
        assert _again(message, body) == data
    elif not message.skipped and data:
        assert message.kept is not None
        assert "".join(str(segment) for segment in message.kept).encode("latin-1") == data


@given(GRAMMAR, CUTS)
def test_where_the_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    """One arrival or many: the same head, body, end and syntax."""
    (one, one_body), (many, many_body) = _read(data, []), _read(data, cuts)
    assert (one.start, list(one.headers), one.complete, one.trailers) == (
        many.start, list(many.headers), many.complete, many.trailers
    )  # fmt: skip
    assert b"".join(one_body) == b"".join(many_body)
    assert (one.certain, one.kept) == (many.certain, many.kept)


@given(
    st.integers(200, 599).filter(lambda status: status not in {204, 304}),
    st.lists(st.tuples(TOKEN, VALUE), max_size=5),
    st.lists(st.binary(min_size=1, max_size=300), max_size=5),
    st.sampled_from(["length", "chunked", "close"]),
    CUTS,
)
def test_a_response_by_the_rules_is_seen_as_h11_sees_it(
    status: int, headers: list[tuple[str, str]], chunks: list[bytes], framing: str, cuts: list[int]
) -> None:
    """Head, body and end are those of a strict parser, and nothing of the syntax needs to be kept."""
    body = b"".join(chunks)
    fields = [*headers, *{
        "length": [("Content-Length", str(len(body)))], "chunked": [("Transfer-Encoding", "chunked")], "close": []
    }[framing]]  # fmt: skip
    head = f"HTTP/1.1 {status} Fine\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n"
    written = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    data = head.encode() + (written if framing == "chunked" else body)
    message, pieces = _read(data, cuts)
    strict = h11.Connection(h11.CLIENT)
    strict.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    strict.send(h11.EndOfMessage())
    strict.receive_data(data)
    seen, content = strict.next_event(), b""
    while isinstance(event := strict.next_event(), h11.Data):
        content += bytes(event.data)
    assert isinstance(seen, h11.Response)
    assert (message.status[1], message.status[2].encode()) == (seen.status_code, seen.reason)
    assert [(name.encode(), value.encode()) for name, value in message.headers] == list(seen.headers.raw_items())
    assert b"".join(pieces) == content == body
    assert message.complete == isinstance(event, h11.EndOfMessage)
    assert message.certain
    assert message.kept is None


def test_a_stream_without_end_is_not_kept_in_memory() -> None:
    """Of a hundred thousand chunks the syntax is no longer kept, and reading goes on."""
    message = Message("GET")
    message.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    total = sum(len(piece) for _ in range(1000) for piece, _ in message.feed(b"1;x\r\na\r\n" * 100))
    assert total == 100_000
    assert message.kept is None
    assert len(message.syntax.segments) <= 100_000


def test_a_head_without_end_is_bounded() -> None:
    """A peer that sends one line for ever costs a megabyte, not all memory, and no time for what came before."""
    message = Message("GET")
    for _ in range(300):
        message.feed(b"x" * 16_384)
    assert not message.start
    assert message.kept is not None
    assert sum(len(str(segment)) for segment in message.kept) <= 1024 * 1024
