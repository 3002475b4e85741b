"""Responses that break the rules of HTTP, or use what few servers do: the bytes of each, as the peer sends them."""

from __future__ import annotations

_HEAD = b"HTTP/1.1 200 OK\r\n"
_OK = b"Content-Length: 2\r\n\r\nok"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

SYNTAX: dict[str, list[bytes]] = {
    "usual": [_HEAD + _OK],
    "usual-chunks": [_CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"],
    # Heads.
    "bare-lf": [b"HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 2\n\nok"],
    "bare-cr": [b"HTTP/1.1 200 OK\rX-A: 1\r\rok"],
    "no-reason": [b"HTTP/1.1 200\r\n" + _OK],
    "two-spaces": [b"HTTP/1.1  200  OK\r\n" + _OK],
    "empty-lines-first": [b"\r\n\r\n" + _HEAD + _OK],
    "no-colon": [_HEAD + b"X-A: 1\r\nno colon here\r\nX-B: 2\r\n" + _OK],
    "space-before-colon": [_HEAD + b"X-A : 1\r\n" + _OK],
    "spaces-around-value": [_HEAD + b"X-A:1\r\nX-B:  2 \r\n" + _OK],
    "folded": [_HEAD + b"X-A: a\r\n  b\r\n\tc\r\n" + _OK],
    "zero-byte": [_HEAD + b"X-A: a\0b\r\n" + _OK],
    "latin-1": [_HEAD + b"X-N: caf\xe9 \xff\r\n" + _OK],
    "many-fields": [_HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(150)) + _OK],
    "long-field": [_HEAD + b"X-L: " + b"a" * 70_000 + b"\r\n" + _OK],
    "very-long-field": [_HEAD + b"X-L: " + b"a" * 100_000 + b"\r\n" + _OK],
    "http-0.9": [b"hello world\n"],
    "http-2": [b"HTTP/2 200 OK\r\n" + _OK],
    "status-99": [b"HTTP/1.1 99 Odd\r\n" + _OK],
    "status-999": [b"HTTP/1.1 999 Odd\r\n" + _OK],
    # Interim responses.
    "early-hints": [b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + _HEAD + _OK],
    "continues": [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + _HEAD + _OK],
    "continue-apart": [b"HTTP/1.1 100 Con", b"tinue\r\n\r\n" + _HEAD[:7], _HEAD[7:] + _OK],
    "switching": [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw bytes"],
    # Lengths.
    "behind-the-body": [_HEAD + b"Content-Length: 4\r\n\r\nfour and more"],
    "two-equal-lengths": [_HEAD + b"Content-Length: 2\r\n" + _OK],
    "two-lengths": [_HEAD + b"Content-Length: 3\r\n" + _OK],
    "length-and-chunks": [_HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    "negative-length": [_HEAD + b"Content-Length: -5\r\n\r\nok"],
    "length-with-sign": [_HEAD + b"Content-Length: +2\r\n\r\nok"],
    "length-is-a-word": [_HEAD + b"Content-Length: two\r\n\r\nok"],
    "length-twice-in-one": [_HEAD + b"Content-Length: 2, 2\r\n\r\nok"],
    "length-is-nothing": [_HEAD + b"Content-Length: \r\n\r\nok"],
    "body-of-204": [b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"],
    # Transfer codings.
    "coding-twice": [_HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    "coding-gzip": [_HEAD + b"Transfer-Encoding: gzip\r\n\r\nzzzz"],
    "coding-gzip-of-chunks": [_HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    "coding-unknown": [_HEAD + b"Transfer-Encoding: foo, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    # Chunks.
    "extensions": [_CHUNKED + b'5;a="b;c"\r\nhello\r\n0;last\r\n\r\n'],
    "upper-case-size": [_CHUNKED + b"0A\r\n0123456789\r\n0\r\n\r\n"],
    "size-with-space": [_CHUNKED + b"5 \r\nhello\r\n0\r\n\r\n"],
    "size-is-a-word": [_CHUNKED + b"5\r\nhello\r\nzz\r\nonly\r\n0\r\n\r\n"],
    "size-is-a-word-later": [_CHUNKED + b"5\r\nhello\r\n", b"zz\r\nonly\r\n0\r\n\r\n"],
    "size-is-negative": [_CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"],
    "size-is-huge": [_CHUNKED + b"f" * 21 + b"\r\nhello\r\n0\r\n\r\n"],
    "chunks-with-bare-lf": [_CHUNKED.replace(b"\r\n", b"\n") + b"5\nhello\n0\n\n"],
    "no-line-end-behind-chunk": [_CHUNKED + b"5\r\nhello0\r\n\r\n"],
    "behind-the-last-chunk": [_CHUNKED + b"5\r\nhello\r\n0\r\n\r\nmore"],
    "trailers": [_CHUNKED + b"5\r\nhello\r\n", b"0\r\nX-T: 1\r\n", b"X-U:2\r\n\r\n"],
    "chunks-in-pieces": [
        _CHUNKED[:20],
        _CHUNKED[20:] + b"a\r",
        b"\n01234",
        b"56789\r\n3\r\nabc",
        b"\r\n0\r\n",
        b"\r\n",
    ],
    # Ends of the connection.
    "nothing": [],
    "end-in-status": [b"HTTP/1.1 2"],
    "end-in-head": [_HEAD + b"Content-Le"],
    "end-in-body": [_HEAD + b"Content-Length: 100\r\n\r\nonly this"],
    "end-in-size": [_CHUNKED + b"5\r\nhello\r\n1"],
    "end-in-chunk": [_CHUNKED + b"5\r\nhello\r\nff\r\nonly"],
    "end-behind-chunk": [_CHUNKED + b"5\r\nhello\r"],
    "end-in-trailer": [_CHUNKED + b"5\r\nhello\r\n0\r\nX-T: 1\r\n"],
    "no-last-chunk": [_CHUNKED + b"5\r\nhello\r\n"],
}
"""By name: what is sent before the peer closes; pieces come some time after one another."""
