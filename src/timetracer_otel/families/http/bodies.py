"""Request bodies by content: JSON by value, forms by field, multipart by part, packed ones unpacked."""

from __future__ import annotations

import email.message
import importlib
import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

import orjson

from timetracer_otel import spans
from timetracer_otel.families.http.volatile import BODY_PATTERNS, ignored_field
from timetracer_otel.seams.values import Blanker

__all__ = ["canonical", "media_type", "packed", "pairs_of", "shown", "unpacked"]

_CUT = re.compile(b"|".join(BODY_PATTERNS))
_SEARCHED = 4 * 1024 * 1024
"""Bytes of text up to which ids are looked for; what is larger counts byte by byte."""
_BROTLI_PIECE = 64

Fields = frozenset[str]
"""Names, in small letters, of JSON members and form fields that do not count, wherever they stand."""


def media_type(content_type: str) -> tuple[str, dict[str, str]]:
    """Part a Content-Type into its type in small letters and its parameters (RFC 9110, section 8.3.1)."""
    message = email.message.Message()
    message["content-type"] = content_type or "application/octet-stream"
    parameters = message.get_params(failobj=[])[1:]
    return message.get_content_type() if content_type else "", {name.lower(): value for name, value in parameters}


def unpacked(body: bytes, content_encoding: str) -> bytes:
    """Undo the content codings that we can; a body in another one, damaged or very large, stays as it is."""
    for coding in reversed([name.strip().lower() for name in content_encoding.split(",") if name.strip()]):
        undo = _CODINGS.get(coding)
        if undo is None:
            return body
        try:
            plain = undo(body)
        except Exception:  # noqa: BLE001 - each decoder has errors of its own; a damaged body compares as it is
            return body
        if len(plain) > spans.UNPACKED:
            return body
        body = plain
    return body


def _gunzip(body: bytes) -> bytes:
    return zlib.decompressobj(wbits=47).decompress(body, spans.UNPACKED + 1)


def _inflate(body: bytes) -> bytes:
    try:
        return spans.inflated(body, spans.UNPACKED)
    except ValueError:  # some peers send it without the zlib frame (RFC 9110, section 8.4.1.2)
        return spans.inflated(body, spans.UNPACKED, -zlib.MAX_WBITS)


def _zstd() -> Any:
    """The library, as the client has it too; raises ImportError where there is none."""
    return importlib.import_module("zstandard")


def _unzstd(body: bytes) -> bytes:
    unpacked: bytes = _zstd().ZstdDecompressor().stream_reader(body).read(spans.UNPACKED + 1)
    return unpacked


def _brotli() -> Any:
    """The decoder that the client uses too, of two names; raises ImportError where there is none."""
    try:
        return importlib.import_module("brotli")
    except ImportError:
        return importlib.import_module("brotlicffi")


def _unbrotli(body: bytes) -> bytes:
    """Decode piece by piece: not every release of the decoders takes a bound for what comes out."""
    decoder = _brotli().Decompressor()
    step = getattr(decoder, "process", None) or decoder.decompress
    pieces, size = [], 0
    for start in range(0, len(body), _BROTLI_PIECE):
        pieces.append(step(body[start : start + _BROTLI_PIECE]))
        size += len(pieces[-1])
        if size > spans.UNPACKED:
            return b"".join(pieces)
    if not decoder.is_finished():
        raise EOFError("incomplete")
    return b"".join(pieces)


_CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _inflate,
    "zstd": _unzstd,
    "br": _unbrotli,
    "aws-chunked": lambda body: _CUT.sub(b"", body),
    "identity": lambda body: body,
}


def packed(body: bytes, content_encoding: str) -> bytes:
    """Apply content codings again: what :func:`unpacked` took away.

    Args:
        body: plain.
        content_encoding: the header.
    """
    for coding in [name.strip().lower() for name in content_encoding.split(",") if name.strip()]:
        pack = _PACKERS.get(coding)
        body = body if pack is None else pack(body)
    return body


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=31)
    return packer.compress(body) + packer.flush()


_PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": _gzip,
    "x-gzip": _gzip,
    "deflate": zlib.compress,
    "zstd": lambda body: bytes(_zstd().ZstdCompressor().compress(body)),
    "br": lambda body: bytes(_brotli().compress(body)),
}


def canonical(body: bytes, content_type: str, content_encoding: str, blank: Blanker, ignored: Fields) -> bytes:
    """Give a body in the form that is compared: equal for equal content.

    Args:
        body: as sent, without transfer coding.
        content_type: the header, or empty.
        content_encoding: the header, or empty.
        blank: takes ids and times out.
        ignored: fields that do not count.
    """
    if not body:
        return b""
    body = unpacked(body, content_encoding)
    kind, parameters = media_type(content_type)
    if kind.startswith("multipart/") and "boundary" in parameters:
        return _multipart(body, parameters["boundary"].encode("latin-1", "replace"), blank, ignored)
    if kind == "application/x-www-form-urlencoded":
        return _form(body, blank, ignored)
    if _is_lines(kind):
        return b"\n".join(_json(line, blank, ignored) or line for line in body.splitlines())
    if _is_json(kind) or (kind in {"", "text/plain"} and body[:1] in {b"{", b"["}):
        found = _json(body, blank, ignored)
        if found is not None:
            return found
    return _text(body, blank)


def _is_json(kind: str) -> bool:
    return kind.endswith(("/json", "+json")) or "-json-" in kind or "amz-json" in kind


def _is_lines(kind: str) -> bool:
    return kind.endswith(("ndjson", "jsonl", "json-lines"))


def _text(body: bytes, blank: Blanker) -> bytes:
    if len(body) > _SEARCHED:
        return body
    try:
        return blank.text(body.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return body


def _json(body: bytes, blank: Blanker, ignored: Fields) -> bytes | None:
    try:
        return orjson.dumps(_value(orjson.loads(body), blank, ignored), option=orjson.OPT_NON_STR_KEYS)
    except (ValueError, TypeError, RecursionError):
        return None


def _value(value: Any, blank: Blanker, ignored: Fields) -> Any:
    """The same value with members sorted, ids taken out, and 1.0 written as 1: JSON has one kind of number."""
    if isinstance(value, str):
        return blank.text(value)
    if isinstance(value, dict):
        kept = sorted((name, item) for name, item in value.items() if name.lower() not in ignored) if value else ()
        return {blank.text(name): _value(item, blank, ignored) for name, item in kept}
    if isinstance(value, list):
        return [_value(item, blank, ignored) for item in value]
    if isinstance(value, bool) or not isinstance(value, float | int):
        return value
    return blank.number(int(value) if isinstance(value, float) and value.is_integer() else value)


def pairs_of(pairs: Iterable[tuple[str, str]], blank: Blanker) -> bytes:
    """Give name-value pairs by name; those of one name in their order."""
    return orjson.dumps([[name, blank.text(value)] for name, value in sorted(pairs, key=lambda pair: pair[0])])


def _form(body: bytes, blank: Blanker, ignored: Fields) -> bytes:
    fields = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
    return pairs_of(_counted(fields, ignored), blank)


def _counted(fields: list[tuple[str, str]], ignored: Fields) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, value in fields
        if name.lower() not in ignored and not ignored_field(name.lower(), value)
    ]


def _multipart(body: bytes, boundary: bytes, blank: Blanker, ignored: Fields) -> bytes:
    parts = []
    for head, content in parts_of(body, boundary):
        headers = {name: value for name, value in head if name not in {"content-length", "mime-version"}}
        kind, coding = headers.get("content-type", ""), headers.get("content-encoding", "")
        lines = pairs_of(headers.items(), blank)
        parts.append(lines + b"\0" + canonical(content, kind or "text/plain", coding, blank, ignored))
    return b"\0\0".join(parts)


def parts_of(body: bytes, boundary: bytes) -> Iterable[tuple[list[tuple[str, str]], bytes]]:
    """Give the headers, names in small letters, and content of each part (RFC 2046, section 5.1)."""
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:]:
        if piece.startswith(b"--"):
            return
        head, _, content = piece.lstrip(b" \t").partition(b"\r\n\r\n")
        lines = [line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n") if line]
        yield [(name.strip().lower(), value.strip()) for name, _, value in lines], content


def shown(body: bytes, content_type: str, content_encoding: str, ignored: Fields | None = None) -> Any:
    """Give a body for people: JSON as values, forms as fields, text as text, the rest by its length.

    Args:
        body: as sent, without transfer coding.
        content_type: the header, or empty.
        content_encoding: the header, or empty.
        ignored: of a request's form, fields to leave out with those that never count; None leaves out none.
    """
    body = unpacked(body, content_encoding)
    kind, parameters = media_type(content_type)
    if not body:
        return None
    if kind == "application/x-www-form-urlencoded":
        fields = parse_qsl(body.decode("latin-1"), keep_blank_values=True)
        return {"form": [list(pair) for pair in (fields if ignored is None else _counted(fields, ignored))]}
    if kind.startswith("multipart/") and "boundary" in parameters:
        found = parts_of(body, parameters["boundary"].encode("latin-1", "replace"))
        parts = [{"headers": dict(head), "content": shown(content, "text/plain", "")} for head, content in found]
        return {"parts": parts}
    try:
        return orjson.loads(body)
    except ValueError:
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError:
            return {"note": "binary", "bytes": len(body)}
