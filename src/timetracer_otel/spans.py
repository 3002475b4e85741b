"""The names of our span attributes, and payloads as the strings that go into them.

A payload is bytes. In a span it is three attributes: ``<name>`` (a string), ``<name>.codec`` (``utf-8``, ``base64``
or, in files, ``zlib+base64``) and ``<name>.size`` (the length in bytes before encoding), so that a value cut by anyone
on the way is noticed. Strings, because backends and older SDKs drop attributes of type bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from typing import Any, Final, TypeAlias

import orjson
import pybase64

from timetracer_otel import encoding
from timetracer_otel.errors import CassetteError

SCHEMA_VERSION = "1"
TRACER_NAME = "timetracer_otel"
"""The instrumentation scope of the spans that we make."""

SCHEMA = "timetracer.schema_version"
LANE_ID = "timetracer.lane.id"
SESSION_ID = "timetracer.session.id"
SESSION_PARENT_ID = "timetracer.session.parent_id"
SESSION_PLACE = "timetracer.session.place"
"""Which child of its parent the process is: lane (empty: the parent's session), branch and number, between slashes."""
SESSION_SPAN = "session "
"""How the name of a session's own span begins; the program's follows."""
SESSION_STDIN = "timetracer.session.stdin"
SESSION_STDOUT = "timetracer.session.stdout"
SESSION_STDERR = "timetracer.session.stderr"
TOTAL = ".total"
"""Behind the name of a stream of which not all was kept: how many bytes passed."""
SHA256 = ".sha256"
"""Likewise: the hash of them all."""
SESSION_READER_LEFT = "timetracer.session.stdout.left"
"""Where stdout's reader, such as ``head``, had left: the method that failed, and how many bytes had passed."""
SESSION_TERMINALS = "timetracer.session.terminals"
"""Which of ``stdin``, ``stdout`` and ``stderr`` were terminals."""
SESSION_TERMINAL = "timetracer.session.terminal"
"""Its kind and size, such as ``xterm 80x24``."""
SESSION_EXIT_STATUS = "timetracer.session.exit_status"
DROPPED_LANES = "timetracer.dropped.lanes"
"""On a session's own span: how many of the process's lanes are in no cassette."""
DROPPED_SPANS = "timetracer.dropped.spans"
"""Likewise: spans missing behind a lane that was written, or in the session."""
DROPPED_REASON = "timetracer.dropped.reason"
"""Likewise: why, as a list of ``reason=count``."""
LATE_LANES = "timetracer.late.lanes"
"""Likewise: lanes that were on disk more than 100 ms after their end."""
LATE_MAX = "timetracer.late.max_ms"
"""Likewise: the longest such delay."""
PLUGIN = "timetracer.plugin"
"""Which integration can decode the span's payloads: ``pymongo``, ``httpx`` …"""
ENTRY_KIND = "timetracer.entry.kind"
"""On an entry that is no HTTP request: its kind, such as ``task``."""
PART = "timetracer.part"
"""On a child span that completes its parent: ``entry`` (what an entry's seam saw), ``body`` (what completed after the
parent had ended) or ``chunk`` (a piece of a large payload)."""
PART_OF = "timetracer.part.of"
"""On a ``chunk``: the name of the payload that it is a piece of."""
PART_INDEX = "timetracer.part.index"
"""On a ``chunk``: its number, from 0."""
PARTS = ".parts"
"""Behind a payload's name: how many chunks it went into; their spans hold it."""
LOST = "timetracer.lost"
"""True on a call of whose payloads something could not be written: a replay does not answer from it."""
REQUEST = "timetracer.request"
RESPONSE = "timetracer.response"
ERROR = "timetracer.error"
"""JSON ``{"type": "module.Class", "args": […]}`` of the exception that the call's I/O raised."""
AND_SO_ON = "…"
"""The last argument of a command line that was cut: the lines of the process's session have the whole."""
FOLLOWS = "timetracer.follows"
"""On a call that nothing asked for, such as a message of a subscription: the span of the call that it came after, which
opened the stream or is the one before it in there."""
REPLIES = "timetracer.response.replies"
"""On a call with several replies, such as a pipeline: JSON list of their lengths in bytes, in the response's order."""
IMPORTED = "timetracer.imported"
"""On a resource, and on calls that keep less than ours: the tool that recorded them."""
IMPORTED_LACKS = "timetracer.imported.lacks"
"""On an imported call that cannot be answered: what that tool did not keep."""
IMPORTED_BODY = "timetracer.imported.body_hash"
"""On an imported HTTP call: ``sha256:`` and the hash of the request's body, which itself was not kept."""
HASH_SEED = "timetracer.hash_seed"
"""A resource attribute: the PYTHONHASHSEED that the interpreter began with, where it is known."""
DRAWS = "timetracer.draws"
"""A payload: what the lane drew, in JSON; see :mod:`timetracer_otel.nondeterminism.draws`."""
INCOMPLETE = "timetracer.incomplete"
"""Which sides were not seen to their end: ``request``, ``response`` or ``request,response``."""

ENDED = "timetracer.ended"
"""On a span that ended before what it stands for, such as a streamed body: when that was over, in nanoseconds since
1970."""
BRANCH = "timetracer.branch"
"""On a call of a thread or a task of its lane: the branches that led to it, ``0@1700000000000000000 2@…``. Each is a
number among those that the one before started, and when it was started, in nanoseconds since 1970."""
CONNECTED = "timetracer.connected"
"""On a connection that failed: when the attempts of its lane began that were before it and had not failed, in
nanoseconds since 1970, with blanks between."""
FIRST_NEED = "timetracer.first_need"
"""True on a call that each process makes when it first needs the answer, which it keeps for all requests."""
CLIENT_LEFT = "timetracer.client.left"
"""On an entry whose client left before the exchange was over: during its ``request`` or the ``response``."""
CLIENT_LEFT_TIME = "timetracer.client.left.time"
"""Likewise: when the app's server said so, in nanoseconds since 1970. The calls before it did not wait for it."""

HTTP_REQUEST_BODY = "http.request.body.content"
HTTP_RESPONSE_BODY = "http.response.body.content"
HTTP_REQUEST_HEADERS = "timetracer.http.request.headers"
"""All headers in order as one JSON list of pairs; likewise of the response."""
HTTP_RESPONSE_HEADERS = "timetracer.http.response.headers"
HTTP_RESPONSE_TRAILERS = "timetracer.http.response.trailers"
HTTP_METHOD = "http.request.method"
HTTP_TARGET = "timetracer.http.target"
"""Path and query exactly as received."""
HTTP_STATUS = "http.response.status_code"
HTTP_STATUS_LINE = "timetracer.http.response.status"

LANE_HEADER = "x-timetracer-lane"
"""Request header that names the recorded lane to follow. Only a replay reads it, and removes it."""

_CONTROLS = bytes(set(range(0x20)) - set(b"\b\t\n\f\r"))
_ESCAPED = _CONTROLS + b'\b\t\n\f\r"\\'
_SAMPLED = 4096
"""Bytes of a payload whose characters are counted; of a larger one every n-th is, about as many."""

DEFLATED: Final = 1024
"""Bytes from which on it is worth looking whether a binary payload becomes shorter."""
UNPACKED: Final = 64 * 1024 * 1024
"""Bytes up to which a packed body is unpacked to be looked into: somebody may send one that unpacks to all memory."""
_WORTH: Final = 0.75
_FASTEST: Final = 1

_MOST_DIGITS: Final = 18
"""Of a 64-bit number. Python refuses to read very many, and needs long for them."""

Attribute: TypeAlias = str | bool | int | float | list[str]
Payload: TypeAlias = bytes | bytearray | memoryview | list[bytes]
"""The bytes of a payload, or its chunks."""


def encode_payload(name: str, payload: Payload) -> dict[str, Attribute]:
    """Give the three attributes of a payload.

    Args:
        name: the attribute, such as :data:`REQUEST`.
        payload: the bytes, or a list of chunks.
    """
    data = b"".join(payload) if isinstance(payload, list) else bytes(payload)
    if is_smaller_as_text(data):
        try:
            return {name: data.decode("utf-8"), name + ".codec": "utf-8", name + ".size": len(data)}
        except UnicodeDecodeError:
            pass
    return encode_binary(name, data)


def is_smaller_as_text(data: bytes) -> bool:
    """Whether JSON writes a payload no longer as text than as base64, by a sample when the payload is large.

    JSON escapes quotes, backslashes and the common control characters with one more byte, other control characters
    with five more; base64 adds a third.
    """
    size = len(data)
    sample = data if size <= _SAMPLED else data[:: (size // _SAMPLED) | 1]
    size = len(sample)
    allowed = size // 3
    escaped = size - len(sample.translate(None, _ESCAPED))
    if escaped * 5 <= allowed:
        return True
    if escaped > allowed:
        return False
    controls = size - len(sample.translate(None, _CONTROLS))
    return escaped + 4 * controls <= allowed


def encode_binary(name: str, payload: Payload) -> dict[str, Attribute]:
    """As :func:`encode_payload` for what is never text: base64 without trying."""
    data = b"".join(payload) if isinstance(payload, list) else payload
    return {name: pybase64.b64encode_as_string(data), name + ".codec": "base64", name + ".size": len(data)}


def deflated(data: Payload) -> bytes | None:
    """Compress what a file holds as ``zlib+base64``: a test's documents by the thousand take a third of the room.

    Args:
        data: the bytes of a payload.

    Returns:
        The compressed bytes; None of a payload that is small, or not much shorter by the look of its middle.
    """
    size = len(data)
    if size < DEFLATED:
        return None
    view = memoryview(data)  # type: ignore[arg-type]  # joined already
    if size > 2 * _SAMPLED:
        sample = view[size // 2 : size // 2 + _SAMPLED]
        if len(zlib.compress(sample, _FASTEST)) > len(sample) * _WORTH:
            return None
    shorter = zlib.compress(view, _FASTEST)
    return shorter if len(shorter) <= size * _WORTH else None


def inflated(data: bytes, most: int, wbits: int = zlib.MAX_WBITS) -> bytes:
    """Decompress, by zlib, no more than one byte beyond a bound: little may have been made to unpack to all memory.

    Args:
        data: the compressed bytes, such as of :func:`deflated`.
        most: the bound, in bytes.
        wbits: the format, as :func:`zlib.decompressobj` has it.

    Raises:
        ValueError: they are damaged, or their end is missing.
    """
    inflater = zlib.decompressobj(wbits)
    try:
        plain = inflater.decompress(data, max(most, 0) + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not inflater.eof and len(plain) <= most:
        raise ValueError("its end is missing")
    return plain


def encode_headers(name: str, pairs: Iterable[tuple[str, str]]) -> dict[str, Attribute]:
    """Give headers as one attribute: a JSON list of pairs, in order, duplicates kept."""
    return {name: encoding.dumps([[key, value] for key, value in pairs]).decode("utf-8")}


def decode_headers(attributes: Mapping[str, object], name: str) -> list[tuple[str, str]]:
    """Give the pairs of :func:`encode_headers` back; empty when the span has none.

    Raises:
        CassetteError: the value is damaged.
    """
    text = attributes.get(name, "[]")
    try:
        return [(str(key), str(value)) for key, value in orjson.loads(text if isinstance(text, str) else "")]
    except (ValueError, TypeError) as error:
        raise CassetteError(f"{name} is damaged ({error}): record it again") from error


def decode_payload(attributes: Mapping[str, object], name: str) -> bytes | None:
    """Give a payload's bytes back.

    Returns:
        The bytes, or None when the span has no such payload.

    Raises:
        CassetteError: the value is not what was recorded: cut, of an unknown codec, or without its length.
    """
    text = attributes.get(name)
    if text is None:
        return None
    codec, size = attributes.get(name + ".codec"), attributes.get(name + ".size")
    if not isinstance(text, str) or not isinstance(size, int):
        raise CassetteError(f"{name} has no codec and size beside it: it was not written by timetracer")
    try:
        if codec == "utf-8":
            data = text.encode("utf-8")
        elif codec == "base64":
            data = pybase64.b64decode(text, validate=True)
        elif codec == "zlib+base64":
            data = inflated(pybase64.b64decode(text, validate=True), size)
        else:
            raise CassetteError(f"{name} has the unknown codec {codec!r}: read it with a newer timetracer-otel")
    except ValueError as error:
        raise CassetteError(f"{name} is damaged ({error}): record it again") from error
    if len(data) != size:
        raise CassetteError(
            f"{name} has {len(data)} of its {size} bytes: something between the app and this file cuts long "
            "attributes (OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT, a collector or a backend); raise that limit, record again"
        )
    return data


def payload_is_there(attributes: Mapping[str, object], name: str) -> bool | None:
    """Say whether a span has a payload that is not empty, on itself or in the chunks that it left in.

    Args:
        attributes: of the span.
        name: of the payload.

    Returns:
        None where the span says nothing of it.
    """
    if attributes.get(name + PARTS):
        return True
    size = attributes.get(name + ".size")
    return None if size is None else bool(size)


def encode_replies(pieces: Iterable[bytes]) -> dict[str, Attribute]:
    """Say where the replies of one call part, which go into one payload."""
    return {REPLIES: encoding.dumps([len(piece) for piece in pieces]).decode("utf-8")}


def decode_replies(attributes: Mapping[str, object]) -> list[bytes]:
    """Give the replies of a call; none when it has no response.

    Raises:
        CassetteError: they are damaged.
    """
    whole, text = decode_payload(attributes, RESPONSE), attributes.get(REPLIES)
    if whole is None or text is None:
        return [] if whole is None else [whole]
    sizes = json_or_text(text) if isinstance(text, str) else None
    if not isinstance(sizes, list) or not all(type(size) is int and size >= 0 for size in sizes):
        raise CassetteError(f"{REPLIES} is no list of lengths: record it again")
    if sum(sizes) != len(whole):
        raise CassetteError(f"{REPLIES} tells of {sum(sizes)} bytes, the response has {len(whole)}: record it again")
    ends = accumulate(sizes, initial=0)
    return [whole[start:end] for start, end in pairwise(ends)]


def json_or_text(text: str) -> Any:
    """Give what an attribute says in JSON; the text as it is, when somebody else wrote it.

    Args:
        text: the attribute.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def whole_number(text: str) -> int | None:
    """Give a number that others wrote; None when it is none, or longer than any length or status can be.

    Args:
        text: such as a header's value.
    """
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None
