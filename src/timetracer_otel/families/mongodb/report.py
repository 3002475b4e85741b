"""MongoDB messages for people: as extended JSON, and the first difference between two."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any
from uuid import UUID

from timetracer_otel.errors import CassetteError
from timetracer_otel.families.mongodb.bson_walk import (
    ARRAY,
    BINARY,
    BOOL,
    CODE,
    DATETIME,
    DOCUMENT,
    DOUBLE,
    INT32,
    INT64,
    MAX_DEPTH,
    MAX_KEY,
    MIN_KEY,
    NULL,
    OBJECT_ID,
    REGEX,
    STRING,
    SYMBOL,
    TIMESTAMP,
    UNDEFINED,
    UUID_LEGACY,
    UUID_STANDARD,
    documents,
    elements,
    guarded,
    scan,
    taken,
)
from timetracer_otel.families.mongodb.unordered_lists import sorted_lists
from timetracer_otel.families.mongodb.wire import VOLATILE, Message, parse_message, sections_of

__all__ = ["difference", "render", "render_message"]


def render(request: bytes | None, response: bytes | None) -> dict[str, Any]:
    """Show a call as relaxed extended JSON: ``{"request": …, "response": …}``.

    Args:
        request: wire message; its document sequences are merged into the command. None when there is none.
        response: BSON document of the reply. None when there is none.

    Returns:
        For bytes that cannot be read, and without pymongo (which brings ``bson``), a note in place of the document.
    """
    shown: dict[str, Any] = {"request": None, "response": None}
    if request is not None:
        try:
            shown["request"] = render_message(parse_message(request))
        except CassetteError as fault:
            shown["request"] = _note(str(fault), request)
    if response is not None:
        shown["response"] = _render_document(response)
    return shown


def render_message(message: Message) -> dict[str, Any]:
    """Show a message's command, its document sequences merged in, as relaxed extended JSON.

    Lists whose order means nothing are sorted, so that two messages that ask the same show the same.
    """
    try:
        shown = _render_document(_sorted_lists(message.body))
        for name, content in message.sections:
            shown[name] = [_render_document(_sorted_lists(content[start:end])) for start, end in _spans(content)]
    except CassetteError as fault:
        shown = _render_document(message.body)
        shown["note"] = str(fault)
    return shown


_sorted_lists = guarded(sorted_lists)


@guarded
def _spans(content: bytes) -> list[tuple[int, int]]:
    return list(documents(content))


def _render_document(document: bytes) -> dict[str, Any]:
    try:
        import bson  # noqa: PLC0415 - only people who look need it
        from bson import CodecOptions, json_util  # noqa: PLC0415 - as above
        from bson.codec_options import DatetimeConversion  # noqa: PLC0415 - as above
    except ImportError:
        return _note("pip install pymongo to see this document", document)
    options: CodecOptions[dict[str, Any]] = CodecOptions(
        tz_aware=True,
        unicode_decode_error_handler="replace",
        datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    )
    try:
        decoded = bson.decode(document, options)
        shown: dict[str, Any] = json.loads(json_util.dumps(decoded, json_options=json_util.RELAXED_JSON_OPTIONS))
    except Exception as fault:  # noqa: BLE001 - whatever the decoder makes of damaged bytes, people get a note
        return _note(f"cannot be shown: {fault}", document)
    return shown


def _note(text: str, content: bytes) -> dict[str, Any]:
    return {"note": text, "bytes": len(content)}


_Field = tuple[int, bytes]
"""A value's type and raw bytes; no bytes for a document or an array, whose elements stand for themselves."""

_LONGEST = 60
_CONTEXT = 20
_NOTHING = "nothing"
_CONTAINERS = (DOCUMENT, ARRAY)
_WORDS = {NULL: "null", UNDEFINED: "undefined", MIN_KEY: "MinKey", MAX_KEY: "MaxKey", DOCUMENT: "{…}", ARRAY: "[…]"}
_TYPES = {DOUBLE: "double", INT32: "int32", INT64: "int64", STRING: "string", SYMBOL: "symbol", CODE: "code"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@guarded
def difference(a: bytes, b: bytes) -> str:
    """Say in one line what first differs between a recorded and an asked message, in what their shapes keep.

    Args:
        a: the recorded wire message.
        b: the live one.

    Returns:
        Such as ``filter.status: "paid" recorded, "open" asked``. A difference of generated values alone (ids, times) is
        named only when there is no other.

    Raises:
        CassetteError: one of them is no wire message, or is nested too deep.
    """
    recorded, asked = _fields(parse_message(a)), _fields(parse_message(b))
    left, right = (next(iter(fields), _NOTHING) for fields in (recorded, asked))
    if left != right:
        return f"command: {left} recorded, {right} asked"
    paths = dict.fromkeys((*recorded, *asked))
    changed = [path for path in paths if recorded.get(path) != asked.get(path)]
    telling = (path for path in changed if _zeroed(recorded.get(path)) != _zeroed(asked.get(path)))
    path = next(telling, changed[0] if changed else None)
    if path is not None:
        left, right = _shown_pair(recorded.get(path), asked.get(path))
        return f"{path}: {left} recorded, {right} asked"
    if list(recorded) != list(asked):
        return "the same fields, in another order"
    return "nothing but what the driver adds"


def _fields(message: Message) -> dict[str, _Field]:
    fields: dict[str, _Field] = {}
    body = message.body
    for number, (kind, name, _start, value, end) in enumerate(elements(body, 0, len(body))):
        if number and name in VOLATILE:
            continue
        if not number and name == b"getMore":  # a cursor's id says nothing
            kind, value = NULL, end  # noqa: PLW2901 - the value is left out
        _add(fields, name.decode("utf-8", "replace"), kind, body[value:end])
    for identifier, content in sections_of(message):
        for number, (start, end) in enumerate(documents(content)):
            _add(fields, f"{identifier}.{number}", DOCUMENT, content[start:end])
    dropped = tuple(f"explain.{name.decode()}" for name in VOLATILE) if next(iter(fields), "") == "explain" else ()
    return {path: field for path, field in fields.items() if not _is_under(path, dropped)}


def _is_under(path: str, parents: tuple[str, ...]) -> bool:
    return any(path == parent or path.startswith(parent + ".") for parent in parents)


def _add(fields: dict[str, _Field], path: str, kind: int, raw: bytes) -> None:
    waiting = [(path, kind, raw, 0)]
    while waiting:
        path, kind, raw, depth = waiting.pop()
        while path in fields:
            path += " (again)"
        fields[path] = (kind, b"" if kind in _CONTAINERS else raw)
        if kind not in _CONTAINERS:
            continue
        if depth == MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        waiting.extend(
            (f"{path}.{name.decode('utf-8', 'replace')}", inner, raw[value:end], depth + 1)
            for inner, name, _start, value, end in reversed(elements(raw, 0, len(raw)))
        )


def _zeroed(field: _Field | None) -> _Field | None:
    if field is None or field[0] in _CONTAINERS:
        return field
    kind, raw = field
    element = bytes([kind, 0]) + raw
    return kind, taken(element, 0, len(element), scan(element, 0, len(element)))[0]


def _shown_pair(recorded: _Field | None, asked: _Field | None) -> tuple[str, str]:
    left, right = _shown(recorded), _shown(asked)
    if left == right and recorded is not None and asked is not None:
        left, right = f"{left} ({_type(recorded[0])})", f"{right} ({_type(asked[0])})"
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    return _shortened(left, same), _shortened(right, same)


def _shortened(text: str, same: int) -> str:
    if len(text) <= _LONGEST:
        return text
    start = max(0, min(same - _CONTEXT, len(text) - _LONGEST))
    window = text[start : start + _LONGEST]
    return ("…" if start else "") + window + ("…" if start + _LONGEST < len(text) else "")


def _type(kind: int) -> str:
    return _TYPES.get(kind, f"type {kind:#04x}")


def _shown(field: _Field | None) -> str:
    if field is None:
        return _NOTHING
    kind, raw = field
    if kind in _WORDS:
        return _WORDS[kind]
    show = _SHOWN.get(kind)
    return f"{_type(kind)} {raw.hex()}" if show is None else show(raw)


def _text(raw: bytes) -> str:
    return json.dumps(raw[4:-1].decode("utf-8", "replace"), ensure_ascii=False)


def _number(raw: bytes) -> str:
    return str(int.from_bytes(raw, "little", signed=True))


def _binary(raw: bytes) -> str:
    subtype, data = raw[4], raw[5:]
    if subtype in (UUID_LEGACY, UUID_STANDARD) and len(data) == len(UUID(int=0).bytes):
        return f"UUID({UUID(bytes=data)})"
    return f"{len(data)} bytes of subtype {subtype}: {data.hex()}"


def _moment(raw: bytes) -> str:
    milliseconds = int.from_bytes(raw, "little", signed=True)
    try:
        return (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{milliseconds} ms"


def _timestamp(raw: bytes) -> str:
    return f"Timestamp({int.from_bytes(raw[4:], 'little')}, {int.from_bytes(raw[:4], 'little')})"


def _regex(raw: bytes) -> str:
    pattern, flags, _end = raw.split(b"\0")
    return f"/{pattern.decode('utf-8', 'replace')}/{flags.decode('utf-8', 'replace')}"


_SHOWN: dict[int, Callable[[bytes], str]] = {
    DOUBLE: lambda raw: repr(Struct("<d").unpack(raw)[0]),
    STRING: _text,
    SYMBOL: _text,
    CODE: _text,
    BINARY: _binary,
    OBJECT_ID: lambda raw: f"ObjectId({raw.hex()})",
    BOOL: lambda raw: "true" if raw[0] else "false",
    DATETIME: _moment,
    REGEX: _regex,
    INT32: _number,
    INT64: _number,
    TIMESTAMP: _timestamp,
}
