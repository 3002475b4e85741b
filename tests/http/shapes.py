"""Exchanges that every client must record and replay alike."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Shape:
    """A request to the shape server; ``timeout`` in seconds."""

    name: str
    path: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float = 5.0


JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

SHAPES = [
    Shape("json", "/json?b=2&a=1"),
    Shape("duplicate headers", "/headers"),
    Shape("binary", "/binary"),
    Shape("larger than a span", "/big"),
    Shape("latin-1", "/latin1"),
    Shape("gzip", "/gzip"),
    Shape("deflate", "/deflate"),
    Shape("brotli", "/br"),
    Shape("zstd", "/zstd"),
    Shape("no content", "/204", "DELETE"),
    Shape("not modified", "/304", headers={"If-None-Match": '"v1"'}),
    Shape("head", "/json", "HEAD"),
    Shape("not found", "/nowhere"),
    Shape("server error", "/500"),
    Shape("redirects", "/redirect"),
    Shape("chunked with trailers", "/chunked"),
    Shape("events", "/events"),
    Shape("until close", "/until-close"),
    Shape("HTTP/1.0", "/old"),
    Shape("no reason phrase", "/no-reason"),
    Shape("post json", "/echo", "POST", JSON, b'{"a": 1, "b": [true, null]}'),
    Shape("post form", "/echo", "POST", FORM, b"x=1&y=%20"),
    Shape("put binary", "/echo", "PUT", {"Content-Type": "image/png"}, bytes(range(256))),
    Shape("patch text", "/echo", "PATCH", {"Content-Type": "text/plain; charset=utf-8"}, "größer".encode()),
    Shape("post nothing", "/echo", "POST", {}, b""),
    Shape("upload larger than a span", "/digest-of-body", "POST", {}, b"0123456789" * 250_000),
    Shape("cut", "/cut"),
    Shape("cut chunk", "/cut-chunked"),
    Shape("garbage", "/garbage"),
    Shape("hang up", "/hang-up"),
    Shape("no head in time", "/slow-head", timeout=0.2),
    Shape("no body in time", "/slow-body", timeout=0.2),
]
