"""MongoDB's wire messages: taken apart, cursor ids read and set, secrets masked.

The protocol: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ and, for OP_COMPRESSED and OP_MSG,
https://github.com/mongodb/specifications/tree/master/source.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from inspect import signature
from struct import Struct

from timetracer_otel.errors import CassetteError
from timetracer_otel.families.mongodb.bson_walk import (
    BINARY,
    DOCUMENT,
    INT32,
    INT64,
    STRING,
    Element,
    document_end,
    documents,
    elements,
    guarded,
    int32,
    int64,
)
from timetracer_otel.redaction import MASK

__all__ = [
    "GUARDED",
    "TRANSPORT",
    "VOLATILE",
    "Message",
    "command_name",
    "cursor_id",
    "cursor_namespace",
    "getmore_cursor_id",
    "max_time_ms",
    "parse_message",
    "redacted",
    "redacted_reply",
    "sections_of",
    "set_cursor_id",
]

VOLATILE = frozenset(
    b"lsid txnNumber $clusterTime $readPreference apiVersion apiStrict apiDeprecationErrors maxTimeMS maxAwaitTimeMS"
    b" comment writeConcern readConcern recoveryToken".split()
)
"""Fields of a command that say how it travels, not what it asks: drivers add them, differently in each version."""

TRANSPORT = frozenset(
    {
        *("lsid", "txnNumber", "$readPreference", "apiVersion", "apiStrict", "apiDeprecationErrors", "recoveryToken"),
        *("$clusterTime", "operationTime", "electionId", "opTime", "signature", "$topologyTime", "$configTime"),
        *("$gleStats", "$configServerState"),
    }
)
"""Fields of commands and of replies that drivers and servers add for themselves."""

OP_QUERY, OP_COMPRESSED, OP_MSG = 2004, 2012, 2013
HEADER = 16
CHECKSUM_PRESENT, MORE_TO_COME, EXHAUST_ALLOWED = 1, 1 << 1, 1 << 16
MAX_MESSAGE_SIZE = 1 << 27
"""Far above the 48,000,000 bytes that servers accept, and a bound for what a damaged length may make us allocate."""

_OP_MSG_CODE = OP_MSG.to_bytes(4, "little")
_OP_QUERY_CODE = OP_QUERY.to_bytes(4, "little")
_BODY_AT = HEADER + 5
_NAME_AT = _BODY_AT + 5
_header = Struct("<iiii").unpack_from
_compressed = Struct("<iiB").unpack_from
_NOOP, _ZLIB = 0, 2

_LOGINS = frozenset({b"authenticate", b"saslstart", b"saslcontinue", b"copydbgetnonce", b"copydbsaslstart", b"copydb"})
_GREETINGS = frozenset({b"hello", b"ismaster"})
_GUARDED_COMMANDS = frozenset({*_LOGINS, *_GREETINGS, b"createuser", b"updateuser"})
GUARDED = frozenset(name.decode() for name in _GUARDED_COMMANDS)
"""Names, in small letters, of the commands that :func:`redacted` looks into: any other holds no secret."""
_SECRETS = frozenset({b"pwd", b"payload", b"key", b"nonce"})


@dataclass(frozen=True, slots=True)
class Message:
    """A wire message, taken apart.

    Args:
        opcode: of the message itself; when it came compressed, of the one inside.
        request_id: what the reply refers to.
        more_to_come: the sender awaits no reply (a write with ``w=0``).
        exhaust_allowed: the server may send several replies to it.
        body: the BSON document of the command.
        sections: identifier and concatenated BSON documents of each document sequence.
        namespace: ``admin.$cmd``, of an OP_QUERY only.
    """

    opcode: int
    request_id: int
    more_to_come: bool
    exhaust_allowed: bool
    body: bytes
    sections: list[tuple[str, bytes]] = field(default_factory=list)
    namespace: str = ""

    @property
    def name(self) -> str:
        """The command: the name of the document's first field, empty when it has none."""
        return self.body[5 : max(self.body.find(0, 5), 5)].decode("utf-8", "replace")


def command_name(buf: bytes) -> str | None:
    """Give the command's name at the cost of a look: None when compressed, no OP_MSG, or not whole."""
    if buf[12:16] != _OP_MSG_CODE or len(buf) <= _NAME_AT or buf[_BODY_AT - 1]:
        return None
    end = buf.find(0, _NAME_AT)
    return buf[_NAME_AT:end].decode("utf-8", "replace") if end > _NAME_AT else None


@guarded
def parse_message(buf: bytes) -> Message:
    """Take a wire message apart: OP_MSG, OP_QUERY, or one of them inside OP_COMPRESSED.

    Args:
        buf: the whole message, header included, as it is given to the socket.

    Raises:
        CassetteError: the bytes are no such message, or it is compressed and its compressor is not installed.
    """
    length, request_id, _response_to, opcode = _header(buf)
    if length != len(buf):
        raise ValueError(f"{len(buf)} bytes, but the header says {length}")
    if opcode == OP_COMPRESSED:
        opcode, buf = _decompressed(buf)
    if opcode == OP_MSG:
        return _parse_op_msg(buf, request_id)
    if opcode == OP_QUERY:
        return _parse_op_query(buf, request_id)
    raise ValueError(f"opcode {opcode} is not one that drivers send")


def _parse_op_msg(buf: bytes, request_id: int) -> Message:
    flags: int = int32(buf, HEADER)[0]
    end = len(buf) - (4 if flags & CHECKSUM_PRESENT else 0)
    body: bytes | None = None
    sections: list[tuple[str, bytes]] = []
    at = HEADER + 4
    while at < end:
        kind = buf[at]
        at += 1
        if kind == 0 and body is None:
            start, at = at, document_end(buf, at, end)
            body = buf[start:at]
        elif kind == 1:
            section, at = _section(buf, at, end)
            sections.append(section)
        else:
            raise ValueError(f"section of kind {kind} at byte {at - 1}")
    if body is None:
        raise ValueError("no body")
    return Message(OP_MSG, request_id, bool(flags & MORE_TO_COME), bool(flags & EXHAUST_ALLOWED), body, sections)


def _section(buf: bytes, start: int, limit: int) -> tuple[tuple[str, bytes], int]:
    end = start + int32(buf, start)[0]
    name_end = buf.index(0, start + 4, end)
    if end > limit:
        raise ValueError(f"section at byte {start} does not fit")
    return (buf[start + 4 : name_end].decode(), buf[name_end + 1 : end]), end


def _parse_op_query(buf: bytes, request_id: int) -> Message:
    start, end = _query_at(buf)
    namespace = buf[HEADER + 4 : start - 9].decode()
    return Message(
        OP_QUERY, request_id, more_to_come=False, exhaust_allowed=False, body=buf[start:end], namespace=namespace
    )


def _query_at(buf: bytes) -> tuple[int, int]:
    start = buf.index(0, HEADER + 4) + 9  # behind the name: how many to skip and to return, int32 each
    return start, document_end(buf, start, len(buf))


def _decompressed(buf: bytes) -> tuple[int, bytes]:
    opcode, size, compressor = _compressed(buf, HEADER)
    if not 0 <= size <= MAX_MESSAGE_SIZE:
        raise ValueError(f"decompressed size {size}")
    data = buf[HEADER + 9 :]
    if compressor == _ZLIB:
        try:
            data = zlib.decompressobj().decompress(data, size + 1)
        except zlib.error as fault:
            raise ValueError(str(fault)) from fault
    elif compressor != _NOOP:
        data = _decompressed_by_driver(data, compressor, size)
    if len(data) != size:
        raise ValueError(f"decompressed to {len(data)} bytes or more, announced as {size}")
    return opcode, buf[:HEADER] + data


def _decompressed_by_driver(data: bytes, compressor: int, size: int) -> bytes:
    try:
        from pymongo import compression_support  # noqa: PLC0415 - only a compressed message needs the driver
    except ImportError as fault:
        raise CassetteError(
            "the recording is compressed by MongoDB's driver: pip install pymongo to read it"
        ) from fault
    decompress = compression_support.decompress
    # 4.20 added the third argument, a bound for the size.
    bound = (max(size, 1),) if len(signature(decompress).parameters) > 2 else ()  # noqa: PLR2004 - as said above
    try:
        return bytes(decompress(data, compressor, *bound))
    except ImportError as fault:
        raise CassetteError(f"the recording is compressed, and {fault.name} that reads it is not installed") from fault
    except Exception as fault:  # each compressor has errors of its own, without a common base
        raise ValueError(f"compressor {compressor}: {fault}") from fault


@guarded
def max_time_ms(message: Message) -> int | None:
    """Give the milliseconds that a command allows the server, None when it does not say.

    Raises:
        CassetteError: the message's body is no BSON document.
    """
    found = named(elements(message.body, 0, len(message.body)), b"maxTimeMS")
    if found is None or found[0] not in (INT32, INT64):
        return None
    return int.from_bytes(message.body[found[3] : found[4]], "little", signed=True)


def named(found: list[Element], name: bytes) -> Element | None:
    """Give the first element of a name, None when there is none."""
    return next((element for element in found if element[1] == name), None)


@guarded
def getmore_cursor_id(message: Message) -> int | None:
    """Give the id of the cursor that a getMore continues; None when the message is no getMore.

    Raises:
        CassetteError: the message's body is no BSON document.
    """
    if message.body[5:13] != b"getMore\0" or message.body[4] != INT64:
        return None
    return int(int64(message.body, 13)[0])


@guarded
def redacted(buf: bytes) -> bytes:
    """Mask what a log-in or a user's creation carries: passwords, keys and SASL payloads become ``[redacted]``.

    Args:
        buf: wire message. A compressed one is passed: no driver compresses these commands, the specification of
            OP_COMPRESSED forbids it.

    Returns:
        The very same object when nothing is masked.

    Raises:
        CassetteError: such a command, but its bytes are not whole.
    """
    opcode = buf[12:16]
    if opcode == _OP_MSG_CODE and buf[_BODY_AT - 1 : _BODY_AT] == b"\0":
        start = _BODY_AT
    elif opcode == _OP_QUERY_CODE:
        start = _query_at(buf)[0]
    else:
        return buf
    if buf[start + 5 : buf.find(0, start + 5)].lower() not in _GUARDED_COMMANDS:
        return buf
    end = document_end(buf, start, len(buf))
    body = buf[start:end]
    masked = _masked(body)
    return buf if masked is body else _with_body(buf, start, end, masked)


@guarded
def redacted_reply(command: str, reply: bytes) -> bytes:
    """Mask the SASL payloads in the reply to a log-in or a hello: they allow to guess a password offline.

    Returns:
        The very same object when nothing is masked.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    name = command.lower().encode()
    return _masked(reply) if name in _LOGINS or name in _GREETINGS else reply


def _masked(document: bytes, *, nested: bool = False) -> bytes:
    pieces: list[bytes] = []
    for kind, name, at, value, end in elements(document, 0, len(document)):
        piece = document[at:end]
        if name in _SECRETS:
            piece = _mask(kind, name)
        elif name == b"speculativeAuthenticate" and kind == DOCUMENT and not nested:
            piece = document[at:value] + _masked(document[value:end], nested=True)
        pieces.append(piece)
    content = b"".join(pieces)
    if content == document[4:-1]:
        return document
    return (len(content) + 5).to_bytes(4, "little") + content + b"\0"


def _mask(kind: int, name: bytes) -> bytes:
    text = MASK.encode()
    if kind == BINARY:
        return bytes([BINARY]) + name + b"\0" + len(text).to_bytes(4, "little") + b"\0" + text
    return bytes([STRING]) + name + b"\0" + (len(text) + 1).to_bytes(4, "little") + text + b"\0"


def _with_body(buf: bytes, start: int, end: int, body: bytes) -> bytes:
    tail = buf[end:]
    flags = int32(buf, HEADER)[0]
    head = buf[4:start]
    if flags & CHECKSUM_PRESENT and buf[12:16] == _OP_MSG_CODE:  # of what is no longer there
        tail = tail[:-4]
        head = head[:12] + (flags & ~CHECKSUM_PRESENT).to_bytes(4, "little", signed=True) + head[16:]
    return (4 + len(head) + len(body) + len(tail)).to_bytes(4, "little") + head + body + tail


def sections_of(message: Message) -> list[tuple[str, bytes]]:
    """Give the document sequences in the form that all driver versions agree on.

    PyMongo up to 4.9 writes ``multi: false`` and ``upsert: false`` into the updates of ``bulk_write`` where later
    versions leave them out; the server takes both for the same (its update command's defaults).
    """
    return [(name, _without_defaults(content) if name == "updates" else content) for name, content in message.sections]


def _without_defaults(content: bytes) -> bytes:
    if b"\x08multi\0\0" not in content and b"\x08upsert\0\0" not in content:
        return content
    return b"".join(_without_false(content[start:end]) for start, end in documents(content))


def _without_false(update: bytes) -> bytes:
    kept = b"".join(
        update[at:end]
        for _kind, _name, at, _value, end in elements(update, 0, len(update))
        if update[at:end] not in (b"\x08multi\0\0", b"\x08upsert\0\0")
    )
    return (len(kept) + 5).to_bytes(4, "little") + kept + b"\0"


@guarded
def cursor_id(reply: bytes) -> int:
    """Give the id of the cursor that a reply opens or continues; 0 when there is none or it is exhausted.

    Args:
        reply: BSON document of a reply: find, aggregate, getMore, list…, bulkWrite all say it in ``cursor.id``.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    if _is_surely_done(reply):
        return 0
    found = _cursor_id_at(reply)
    return 0 if found is None else int.from_bytes(reply[found[0] : found[1]], "little", signed=True)


@guarded
def set_cursor_id(reply: bytes, new: int) -> bytes:
    """Put another cursor id into a reply that has one; any other is given back as it is.

    Raises:
        CassetteError: the bytes are no BSON document, or ``new`` is wider than the id it replaces (64 bits).
    """
    found = _cursor_id_at(reply)
    if found is None:
        return reply
    start, end = found
    return reply[:start] + new.to_bytes(end - start, "little", signed=True) + reply[end:]


@guarded
def cursor_namespace(reply: bytes) -> str:
    """Give the ``database.collection`` that a reply says its cursor reads; empty when it does not say.

    Raises:
        CassetteError: the bytes are no BSON document.
    """
    cursor = named(elements(reply, 0, len(reply)), b"cursor")
    if cursor is None or cursor[0] != DOCUMENT:
        return ""
    name = named(elements(reply, cursor[3], cursor[4]), b"ns")
    return reply[name[3] + 4 : name[4] - 1].decode() if name is not None and name[0] == STRING else ""


def _is_surely_done(reply: bytes) -> bool:
    """Whether every 64-bit ``id`` in a reply is 0, at whatever place: most replies are told so without a walk."""
    at = reply.find(_ID64)
    if at < 0:
        return False  # some servers give a cursor's id in 32 bits
    while at >= 0:
        if reply[at + len(_ID64) : at + len(_ID64) + 8] != _ZERO64:
            return False
        at = reply.find(_ID64, at + 1)
    return b"\x10id\0" not in reply


_ID64 = b"\x12id\0"  # type INT64, and the element's name
_ZERO64 = bytes(8)


def _cursor_id_at(reply: bytes) -> tuple[int, int] | None:
    cursor = named(elements(reply, 0, len(reply)), b"cursor")
    if cursor is None or cursor[0] != DOCUMENT:
        return None
    number = named(elements(reply, cursor[3], cursor[4]), b"id")
    return None if number is None or number[0] not in (INT32, INT64) else (number[3], number[4])
