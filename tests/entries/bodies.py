"""Request bodies of every kind that a handler must get unchanged."""

from __future__ import annotations

import json

MULTIPART = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + bytes(range(256)) * 50 + b"\r\n--B--\r\n"
)
KINDS: dict[str, tuple[str, bytes]] = {
    "form": ("application/x-www-form-urlencoded", b"a=1&b=%C3%BC&a=2"),
    "multipart": ("multipart/form-data; boundary=B", MULTIPART),
    "text": ("text/plain; charset=utf-8", "grüße\n".encode()),
    "json": ("application/json", json.dumps({"a": [1, None]}).encode()),
    "binary": ("application/octet-stream", bytes(range(256))),
    "empty": ("text/plain", b""),
    "20 MB": ("application/octet-stream", bytes(range(250)) * 80_000),
}


def plain_request(path: str, kind: str) -> bytes:
    """A POST with Content-Length, as it goes over the wire."""
    content_type, body = KINDS[kind]
    head = f"POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunked_request(path: str, kind: str, size: int = 100_000) -> bytes:
    """The same in chunks."""
    content_type, body = KINDS[kind]
    head = f"POST {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: {content_type}\r\n"
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
