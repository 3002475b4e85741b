"""MongoDB wire messages: taken apart, described, rebound, masked, shown."""

from __future__ import annotations

import datetime as dt
import struct
import sys
import uuid
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import bson
import pytest
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import compression_support

from timetracer_otel.errors import CassetteError
from timetracer_otel.families.mongodb import bson_walk, family, report
from timetracer_otel.families.mongodb import wire as messages
from timetracer_otel.families.mongodb.bson_walk import MAX_DEPTH
from timetracer_otel.seams import value_forms

unhurried = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])

OID_A, OID_B = ObjectId("64b000000000000000000001"), ObjectId("64b0000000000000000000ff")
LSID = {"id": Binary(bytes(range(16)), 4)}
Documents = Sequence[Mapping[str, Any]]


def wire(
    body: Mapping[str, Any] | bytes, *sections: tuple[str, Documents], flags: int = 0, request_id: int = 7
) -> bytes:
    """Write an OP_MSG."""
    content = b"\0" + (body if isinstance(body, bytes) else bson.encode(body))
    for name, documents in sections:
        section = name.encode() + b"\0" + b"".join(bson.encode(document) for document in documents)
        content += b"\1" + struct.pack("<i", len(section) + 4) + section
    checksum = b"\xaa\xbb\xcc\xdd" if flags & 1 else b""
    size = 20 + len(content) + len(checksum)
    return struct.pack("<iiiii", size, request_id, 0, 2013, flags) + content + checksum


def legacy(body: Mapping[str, Any], namespace: str = "admin.$cmd") -> bytes:
    """Write an OP_QUERY."""
    content = struct.pack("<i", 4) + namespace.encode() + b"\0" + struct.pack("<ii", 0, -1) + bson.encode(body)
    return struct.pack("<iiii", 16 + len(content), 9, 0, 2004) + content


def compressed(buf: bytes, data: bytes, compressor: int, size: int | None = None) -> bytes:
    """Write an OP_COMPRESSED around the message ``buf``, whose content is given compressed."""
    content = struct.pack("<iiB", 2013, len(buf) - 16 if size is None else size, compressor) + data
    return struct.pack("<iiii", 16 + len(content), 7, 0, 2012) + content


def describe(body: Mapping[str, Any] | bytes, *sections: tuple[str, Documents]) -> Any:
    """Describe the message of that body."""
    return family.describe(messages.parse_message(wire(body, *sections)))


def asked(body: Mapping[str, Any] | bytes, *sections: tuple[str, Documents]) -> Any:
    """The same, but for what only a message that differs is compared by."""
    return family.asked(messages.parse_message(wire(body, *sections)))


def raw_document(*elements: bytes) -> bytes:
    """Write a BSON document from written elements."""
    content = b"".join(elements)
    return struct.pack("<i", len(content) + 5) + content + b"\0"


def nested(levels: int) -> bytes:
    """Write a command with documents that deep inside one another."""
    document = raw_document(b"\x10x\0\1\0\0\0")
    for _ in range(levels - 1):
        document = raw_document(b"\x03x\0" + document)
    return raw_document(b"\x02find\0\2\0\0\0c\0", b"\x03f\0" + document)


# --- taking apart


def test_op_msg_is_taken_apart() -> None:
    """Flags, body and document sequences of an OP_MSG come out as they went in."""
    body = {"insert": "c", "$db": "app"}
    buf = wire(body, ("documents", [{"n": 1}, {"n": 2}]), flags=1 << 1 | 1 << 16, request_id=42)
    message = messages.parse_message(buf)
    assert (message.opcode, message.request_id) == (2013, 42)
    assert (message.more_to_come, message.exhaust_allowed) == (True, True)
    assert message.body == bson.encode(body)
    assert message.sections == [("documents", bson.encode({"n": 1}) + bson.encode({"n": 2}))]


def test_checksum_is_no_section() -> None:
    """An OP_MSG with a checksum behind it reads as one without."""
    assert messages.parse_message(wire({"ping": 1}, flags=1)).body == bson.encode({"ping": 1})


def test_op_query_is_taken_apart() -> None:
    """The hello that drivers up to 4.16 send is described like a command of its database."""
    message = messages.parse_message(legacy({"ismaster": 1, "helloOk": True}))
    assert (message.opcode, message.request_id, message.namespace) == (2004, 9, "admin.$cmd")
    assert family.describe(message).key == ("mongodb", "admin", "ismaster", "")


def test_zlib_is_decompressed() -> None:
    """A message compressed by zlib, or by nothing, equals the one inside."""
    buf = wire({"find": "c", "$db": "app"}, ("x", [{"a": 1}]))
    plain = messages.parse_message(buf)
    assert messages.parse_message(compressed(buf, zlib.compress(buf[16:]), 2)) == plain
    assert messages.parse_message(compressed(buf, buf[16:], 0)) == plain


def test_other_compressors_are_the_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snappy and zstd are left to pymongo's own function, in both forms that it has had."""
    buf = wire({"ping": 1})

    def two(data: bytes, compressor: int) -> bytes:
        assert compressor == 3
        return data[::-1]

    def three(data: bytes, compressor: int, max_message_size: int) -> bytes:
        assert max_message_size >= len(data)
        return two(data, compressor)

    for function in (two, three):
        monkeypatch.setattr(compression_support, "decompress", function)
        assert messages.parse_message(compressed(buf, buf[:15:-1], 3)).body == bson.encode({"ping": 1})


def test_missing_compressor_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compressor's package the error says which one, without pymongo that."""

    def fails(_data: bytes, _compressor: int, _size: int) -> bytes:
        raise ImportError(name="snappy")

    buf = wire({"ping": 1})
    monkeypatch.setattr(compression_support, "decompress", fails)
    with pytest.raises(CassetteError, match="snappy that reads it is not installed"):
        messages.parse_message(compressed(buf, b"", 1))
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(CassetteError, match="pip install pymongo"):
        messages.parse_message(compressed(buf, b"", 1))


@pytest.mark.parametrize(
    "buf",
    [
        b"",
        wire({"ping": 1})[:-1],
        wire({"ping": 1}) + b"\0",
        wire(b"\x06\0\0\0\0"),
        wire(bson.encode({"ping": 1})[:-1] + b"\1"),
        struct.pack("<iiiii", 20, 1, 0, 2013, 0),
        struct.pack("<iiii", 16, 1, 0, 2013),
        struct.pack("<iiii", 16, 1, 0, 1),
        struct.pack("<iiiii", 21, 1, 0, 2013, 0) + b"\7",
        struct.pack("<iiiii", 40, 1, 0, 2013, 0) + (b"\0" + bson.encode({})) * 2 + b"\1\xff\xff\xff\xff\0\0\0",
        compressed(wire({"ping": 1}), b"no zlib", 2),
        compressed(wire({"ping": 1}), zlib.compress(bytes(10_000)), 2),
        compressed(wire({"ping": 1}), zlib.compress(wire({"ping": 1})[16:]), 2, size=-1),
        compressed(wire({"ping": 1}), zlib.compress(wire({"ping": 1})[16:]), 2, size=99),
        compressed(wire({"ping": 1}), b"", 77),
    ],
)
def test_damaged_messages_are_refused(buf: bytes) -> None:
    """Bytes that are no whole wire message raise our error, with what to do."""
    with pytest.raises(CassetteError, match="record again"):
        messages.parse_message(buf)


def test_command_name_is_the_first_field() -> None:
    """The name of an OP_MSG's command is read without a parse; other messages have none."""
    assert messages.command_name(wire({"find": "c", "$db": "app"})) == "find"
    assert messages.command_name(legacy({"ismaster": 1})) is None
    assert messages.command_name(compressed(wire({"ping": 1}), b"", 2)) is None
    assert messages.command_name(wire({})) is None
    assert messages.command_name(wire({"ping": 1})[:24]) is None


# --- describing


@pytest.mark.parametrize(
    ("body", "operation", "collection"),
    [
        ({"find": "users", "$db": "app"}, "find", "users"),
        ({"getMore": Int64(5), "collection": "users", "$db": "app"}, "getMore", "users"),
        ({"explain": {"count": "users"}, "$db": "app"}, "explain", "users"),
        ({"aggregate": 1, "pipeline": [], "$db": "app"}, "aggregate", ""),
        ({"commitTransaction": 1, "$db": "app"}, "commitTransaction", ""),
    ],
)
def test_key_is_the_readable_address(body: dict[str, Any], operation: str, collection: str) -> None:
    """The key names system, database, command and collection."""
    assert describe(body).key == ("mongodb", "app", operation, collection)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ({"find": "c"}, True),
        ({"isMaster": 1}, True),
        ({"aggregate": "c", "pipeline": [{"$match": {"x": "$out"}}, {"$group": {"_id": 1}}]}, True),
        ({"aggregate": "c", "pipeline": [{"$match": {"$out": 1}}, {}]}, True),
        ({"aggregate": "c", "pipeline": [{"$match": {}}, {"$out": "d"}]}, False),
        ({"aggregate": "c", "pipeline": [{"$merge": {"into": "d"}}]}, False),
        ({"find": "c", "autocommit": False}, False),
        ({"insert": "c"}, False),
        ({"findAndModify": "c"}, False),
        ({"madeUp": 1}, False),
    ],
)
def test_read_is_said_only_of_what_changes_nothing(body: dict[str, Any], read: bool) -> None:  # noqa: FBT001 - a parameter of the case
    """Commands that only read count as such, unless they write by a stage or see a transaction."""
    assert describe(body).read is read


def test_generated_values_are_listed_and_zeroed() -> None:
    """Ids and times do not count in the shape, and are listed in the order of the sorted fields."""
    moment = dt.datetime(2024, 5, 1, 10, tzinfo=dt.UTC)
    text = "0f8fad5b-d9cb-469f-a165-70867728950e"
    body = {"find": "c", "z": OID_A, "a": [{"when": moment}, Timestamp(9, 3)], "b": text, "u": Binary(b"u" * 16, 4)}
    other = {**body, "z": OID_B, "b": text.replace("0f", "1a"), "u": Binary(b"v" * 16, 4)}
    described = describe(body)
    assert described.shape == describe(other).shape
    assert described.values == (
        b"\x09" + struct.pack("<q", int(moment.timestamp()) * 1000),
        b"\x11" + struct.pack("<II", 3, 9),
        b"\x04" + uuid.UUID(text).bytes,
        b"\x04" + b"u" * 16,
        b"\x07" + OID_A.binary,
    )
    assert describe(other).values[-1] == b"\x07" + OID_B.binary
    for change in ({"b": "no id"}, {"u": Binary(b"u" * 16, 3)}, {"u": Binary(b"u" * 15, 4)}, {"z": 1}):
        assert describe({**body, **change}).shape != described.shape


@pytest.mark.parametrize("text", ["64b000000000000000000001", "64B0000000000000000000010011aaFF"])
def test_text_of_an_id_is_that_id(text: str) -> None:
    """A string that is an ObjectId's or a UUID's text is the same value as the binary, which counts as another form."""
    raw = bytes.fromhex(text)
    one = describe({"find": "c", "q": text})
    assert one.values == (bytes((7 if len(raw) == 12 else 4,)) + raw,)
    other = describe({"find": "c", "q": ObjectId(raw) if len(raw) == 12 else Binary(raw, 4)})
    assert one.values == other.values
    assert one.shape != other.shape


@pytest.mark.parametrize(
    "value",
    [
        "z" * 24,
        "0" * 36,
        "no id, but as long as one",
        "\0" * 24,
        Binary(b"u" * 16, 0),
        Binary(b"u" * 16, 5),
    ],
)
def test_other_values_count_in_the_shape(value: object) -> None:
    """What only has an id's length is no generated value, nor does it look like a zeroed one."""
    described = describe({"find": "c", "q": value})
    assert described.values == ()
    for other in ("0" * 24, "z" * 23 + "y", Binary(b"v" * 16, 0), Binary(b"v" * 16, 5)):
        assert describe({"find": "c", "q": other}).shape != described.shape


def test_cursor_id_of_a_getmore_counts_for_nothing() -> None:
    """Two getMores of different cursors have the same shape, with nothing listed."""
    one, two = (describe({"getMore": Int64(n), "collection": "c", "batchSize": 2}) for n in (5, 1 << 60))
    assert one == two
    assert one.values == ()


def test_explained_command_is_freed_of_volatile_fields() -> None:
    """What the driver adds inside explain counts as little as outside, in whatever order."""
    plain = describe({"explain": {"find": "c", "filter": {}, "limit": 1}, "verbosity": "queryPlanner"})
    noisy = describe(
        {
            "explain": {"find": "c", "comment": "x", "limit": 1, "filter": {}, "maxTimeMS": 5},
            "verbosity": "queryPlanner",
        }
    )
    assert plain == noisy
    assert plain != describe({"explain": {"find": "c", "filter": {"a": 1}, "limit": 1}, "verbosity": "queryPlanner"})


def test_defaults_that_old_drivers_write_count_for_nothing() -> None:
    """``multi: false`` and ``upsert: false`` in an update equal their absence; true does not."""
    update = {"q": {"multi": False}, "u": {"$set": {"a": 1}}}

    def shape(*updates: dict[str, Any]) -> bytes:
        described: bytes = describe({"update": "c", "ordered": True}, ("updates", updates)).shape
        return described

    bare = shape(update, update)
    assert shape({**update, "multi": False, "upsert": False}, update) == bare
    assert shape({**update, "multi": True}, update) != bare
    assert shape({**update, "q": {}}, update) != bare
    assert describe({"insert": "c"}, ("documents", [{"multi": False}])) != describe(
        {"insert": "c"}, ("documents", [{}])
    )


def test_document_sequences_count() -> None:
    """Values in sections are listed after the body's; their order, names and content count."""
    one, two = {"_id": OID_A, "n": 1}, {"_id": OID_B, "n": 2}
    described = describe({"insert": "c"}, ("documents", [one, two]))
    assert described.values == (b"\x07" + OID_A.binary, b"\x07" + OID_B.binary)
    assert described.shape != describe({"insert": "c"}, ("documents", [two, one])).shape
    assert described.shape != describe({"insert": "c"}, ("others", [one, two])).shape
    assert describe({"a": 1}, ("ops", [one]), ("nsInfo", [two])) == describe(
        {"a": 1}, ("nsInfo", [two]), ("ops", [one])
    )


def test_numbers_of_other_types_differ() -> None:
    """1, 1.0 and a 64-bit 1 are different requests."""
    assert len({describe({"find": "c", "limit": number}).shape for number in (1, 1.0, Int64(1), True)}) == 4


def test_repeated_names_count_in_their_order() -> None:
    """A field that stands twice counts twice, in order."""
    first, second = b"\x10x\0\1\0\0\0", b"\x10x\0\2\0\0\0"
    command = b"\x02find\0\2\0\0\0c\0"
    shapes = {describe(raw_document(command, *found)).shape for found in ((first, second), (second, first), (first,))}
    assert len(shapes) == 3


def test_depth_is_bounded() -> None:
    """Nesting is followed as far as a server follows it; beyond that, however deep, our error says so."""
    assert describe(nested(MAX_DEPTH)).key[2] == "find"
    for levels in (MAX_DEPTH + 1, 3000):
        for function in (describe, lambda body: report.difference(wire(body), wire(body)), bson_walk.values):
            with pytest.raises(CassetteError, match="deep"):
                function(nested(levels))


def test_explain_inside_explain_is_bounded() -> None:
    """Explains inside one another end in our error, too."""
    document = bson.encode({"find": "c"})
    for _ in range(3000):
        document = raw_document(b"\x03explain\0" + document)
    with pytest.raises(CassetteError, match="deep"):
        describe(document)


def test_command_without_a_name_is_refused() -> None:
    """An empty body asks nothing."""
    with pytest.raises(CassetteError, match="without a name"):
        describe({})


SCOPE = raw_document(b"\x07id\0" + OID_A.binary)
EVERY_TYPE = raw_document(
    b"\x01double\0" + struct.pack("<d", 1.5),
    b"\x02string\0\2\0\0\0s\0",
    b"\x03document\0" + raw_document(b"\x0anull\0"),
    b"\x04array\0" + raw_document(b"\x08" + b"0\0\1"),
    b"\x05binary\0\3\0\0\0\0abc",
    b"\x05uuid\0\x10\0\0\0\3" + b"u" * 16,
    b"\x06undefined\0",
    b"\x07id\0" + OID_A.binary,
    b"\x08bool\0\1",
    b"\x09date\0" + struct.pack("<q", -1),
    b"\x0anull\0",
    b"\x0bregex\0a.b\0im\0",
    b"\x0cpointer\0\2\0\0\0c\0" + OID_B.binary,
    b"\x0dcode\0\3\0\0\0f(\0",
    b"\x0esymbol\0\3\0\0\0sy\0",
    b"\x0fscoped\0" + struct.pack("<i", 10 + len(SCOPE)) + b"\2\0\0\0f\0" + SCOPE,
    b"\x10int\0\1\0\0\0",
    b"\x11stamp\0" + b"12345678",
    b"\x12long\0" + bytes(8),
    b"\x13decimal\0" + bytes(16),
    b"\xffmin\0",
    b"\x7fmax\0",
)
EVERY_VALUE = [
    b"\x03" + b"u" * 16,
    b"\x07" + OID_A.binary,
    b"\x09" + b"\xff" * 8,
    b"\x07" + OID_B.binary,
    b"\x07" + OID_A.binary,
    b"\x11" + b"12345678",
]


def test_every_type_is_walked() -> None:
    """All BSON types are followed, deprecated ones and a code's scope too, and their ids are found."""
    assert list(bson_walk.values(EVERY_TYPE)) == EVERY_VALUE
    swapped = bson_walk.rebind(
        EVERY_TYPE, {b"\x07" + OID_A.binary: b"\x07" + OID_B.binary, b"\x07" + OID_B.binary: b"\x07" + OID_A.binary}
    )
    assert [value[1:] for value in bson_walk.values(swapped) if value[0] == 7] == [
        x.binary for x in (OID_B, OID_A, OID_B)
    ]
    command = raw_document(b"\x02find\0\2\0\0\0c\0", b"\x03q\0" + EVERY_TYPE)
    assert list(describe(command).values) == EVERY_VALUE
    assert report.difference(wire(command), wire(command)) == "nothing but what the driver adds"


# --- properties

hex_texts = st.one_of(
    st.binary(min_size=12, max_size=12).map(bytes.hex),
    st.uuids().map(str),
    st.uuids().map(lambda value: value.hex.upper()),
)
texts = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), hex_texts)
moments = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001 - BSON has no zones
generated = st.one_of(
    st.binary(min_size=12, max_size=12).map(ObjectId),
    st.builds(Binary, st.binary(min_size=16, max_size=16), st.sampled_from([3, 4])),
    moments.map(lambda value: value.replace(microsecond=0)),
    st.builds(Timestamp, st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    hex_texts,
)
plain_leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**63), 2**63 - 1).map(Int64),
    st.floats(),
    texts,
    st.builds(Binary, st.binary(max_size=17), st.sampled_from([0, 5, 128])),
    st.builds(Regex, st.sampled_from(["a", "b.c"]), st.sampled_from([0, 2])),
    st.sampled_from([MinKey(), MaxKey(), Decimal128("1.0"), Decimal128("1.00"), Code("f"), Code("f", {"x": 1})]),
    st.builds(DBRef, st.just("c"), generated),
)
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5)
trees = st.recursive(
    st.one_of(plain_leaves, generated),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)
VOLATILE = [
    "lsid",
    "txnNumber",
    "$clusterTime",
    "$readPreference",
    "apiVersion",
    "maxTimeMS",
    "comment",
    "writeConcern",
]
fields = st.dictionaries(names.filter(lambda name: name not in {*VOLATILE, "apiStrict"}), trees, max_size=5)
volatile = st.dictionaries(st.sampled_from(VOLATILE), trees)


def canonical(value: Any) -> Any:
    """Say what counts of a value, by its Python type: an independent account of what a shape keeps."""
    if isinstance(value, DBRef):
        value = value.as_doc()
    if isinstance(value, dict):
        return [(name, canonical(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return ["list", *map(canonical, value)]
    return (type(value), leaf(value))


def leaf(value: Any) -> Any:
    """Say what counts of a value that holds no others."""
    if isinstance(value, ObjectId | dt.datetime | Timestamp):
        return None
    if isinstance(value, Binary):
        return (value.subtype, len(value) if value.subtype in (3, 4) else bytes(value))
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, Regex | Code):
        return [str(getattr(value, name, None)) for name in ("pattern", "flags", "scope")]
    return len(value) if isinstance(value, str) and is_id_text(value) else repr(value)


def is_id_text(text: str) -> bool:
    """Tell whether a text is an ObjectId's or a UUID's."""
    digits = (
        text.replace("-", "")
        if len(text) == 36 and [at for at, char in enumerate(text) if char == "-"] == [8, 13, 18, 23]
        else text
    )
    return len(text) in {24, 32, 36} and len(digits) in {24, 32} and not set(digits) - set("0123456789abcdefABCDEF")


@unhurried
@given(fields, volatile, st.randoms(use_true_random=False))
def test_order_and_volatile_fields_do_not_count(kept: dict[str, Any], noise: dict[str, Any], random: Any) -> None:
    """A description is the same whatever the order of the top-level fields and whatever the driver adds."""
    shuffled = list({**kept, **noise}.items())
    random.shuffle(shuffled)
    assert describe({"find": "c", **dict(shuffled)}) == describe({"find": "c", **kept})
    assert asked({"find": "c", **dict(shuffled)}).same == asked({"find": "c", **kept}).same


@unhurried
@given(fields, trees, trees)
def test_what_is_the_same_to_the_byte_has_one_description(kept: dict[str, Any], one: Any, other: Any) -> None:
    """And what was described late is described as it is at once."""
    section = "documents", [{"one": one}]
    left, right = ((asked({"insert": "c", **kept, "x": value}, section)) for value in (one, other))
    whole = describe({"insert": "c", **kept, "x": one}, section)
    assert left == whole
    assert (left.key, left.read, left.subjects, left.settles) == (whole.key, whole.read, whole.subjects, whole.settles)
    if left.same == right.same:
        assert left == right
    assert left.same != asked({"insert": "c", **kept, "x": one}, ("documents", [{"one": one}, {}])).same


@unhurried
@given(fields, names, trees, trees)
def test_shapes_differ_exactly_when_what_counts_differs(kept: dict[str, Any], name: str, one: Any, other: Any) -> None:
    """Two commands that differ in one field have one shape only if they differ in generated values alone."""
    name = f"field.{name}"
    left, right = ({"find": "c", **kept, name: value} for value in (one, other))
    same = canonical(one) == canonical(other)
    assert (describe(left).shape == describe(right).shape) is same
    if not same:
        assert report.difference(wire(left), wire(right)).startswith((name, "the same fields, in another order"))


@unhurried
@given(fields, st.lists(generated, min_size=1, max_size=4), st.lists(generated, min_size=4, max_size=4))
def test_rebind_there_and_back(kept: dict[str, Any], olds: list[Any], news: list[Any]) -> None:
    """Rebound values are all replaced, nothing else is touched, and the way back gives the same values."""
    document = bson.encode({**kept, "ids": olds})
    before = list(bson_walk.values(document))
    bindings: dict[bytes, bytes] = {}
    for old, new in zip(olds, news, strict=False):
        source, target = (next(bson_walk.values(bson.encode({"x": value}))) for value in (old, new))
        if source[0] == target[0] and len(source) == len(target) and target not in (*before, *bindings.values()):
            bindings.setdefault(source, target)
    rebound = bson_walk.rebind(document, bindings)
    assert list(bson_walk.values(rebound)) == [bindings.get(value, value) for value in before]
    assert len(rebound) == len(document)
    back = bson_walk.rebind(rebound, {new: old for old, new in bindings.items()})
    assert list(bson_walk.values(back)) == before  # digits without a letter do not say in which case they were written
    assert len(back) == len(document)


FUNCTIONS: list[Callable[[bytes], object]] = [
    messages.parse_message,
    messages.command_name,
    messages.redacted,
    bson_walk.values,
    messages.cursor_id,
    lambda buf: messages.set_cursor_id(buf, 3),
    lambda buf: bson_walk.rebind(buf, {b"\x07" + buf[:12]: b"\x07" + bytes(12)}),
    lambda buf: messages.redacted_reply("hello", buf),
    lambda buf: family.describe(messages.parse_message(buf)),
    lambda buf: messages.getmore_cursor_id(messages.parse_message(buf)),
    lambda buf: report.difference(buf, wire({"find": "c", "q": {"a": [1]}})),
]
SAMPLES = [
    wire({"find": "c", "q": {"a": [1, OID_A]}, "$db": "app"}),
    wire({"update": "c"}, ("updates", [{"q": {}, "multi": False}]), flags=1),
    wire({"saslStart": 1, "payload": b"abc", "$db": "admin"}),
    wire({"explain": {"getMore": Int64(1)}}),
    wire(EVERY_TYPE),
    legacy({"ismaster": 1, "speculativeAuthenticate": {"payload": b"x"}}),
    compressed(wire({"ping": 1}), zlib.compress(wire({"ping": 1})[16:]), 2),
    EVERY_TYPE,
    bson.encode({"cursor": {"id": Int64(3), "firstBatch": []}}),
]


def tried(function: Callable[[bytes], object], buf: bytes) -> bool:
    """Tell whether a function accepts the bytes; only our error may say no."""
    try:
        function(buf)
    except CassetteError:
        return False
    return True


@unhurried
@given(st.one_of(st.binary(max_size=80), st.binary(max_size=40).map(wire), st.binary(max_size=40).map(raw_document)))
def test_random_bytes_raise_only_our_error(buf: bytes) -> None:
    """Whatever the bytes, each function answers or raises CassetteError, and rendering always answers."""
    assert {tried(function, buf) for function in FUNCTIONS} <= {True, False}
    assert set(report.render(buf, buf)) == {"request", "response"}


@unhurried
@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_bytes_raise_only_our_error(sample: bytes, data: st.DataObject) -> None:
    """A message with one changed byte, with or without its end, is read or refused by our error."""
    at = data.draw(st.integers(0, len(sample) - 1))
    damaged = bytearray(sample)
    damaged[at] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.sampled_from([len(sample), len(sample) - 1, at]))]
    if data.draw(st.booleans()):
        damaged[:4] = struct.pack("<i", len(damaged))
    assert {tried(function, bytes(damaged)) for function in FUNCTIONS} <= {True, False}
    assert set(report.render(bytes(damaged), bytes(damaged))) == {"request", "response"}


# --- replies


def test_rebind_gives_the_same_object_when_nothing_applies() -> None:
    """A reply without the bound values, or with their bytes in another type, is not even copied."""
    reply = bson.encode({"a": 1, "b": Binary(OID_A.binary, 0), "t": "z" * 24})
    same_type = {b"\x07" + OID_A.binary: b"\x07" + OID_B.binary}
    many = {b"\x07" + bytes([number]) * 12: b"\x07" + OID_B.binary for number in range(99)}
    unequal = {b"\x02" + b"0" * 24: b"\x02" + b"0" * 32, b"\x07" + OID_A.binary: b"\x04" + OID_A.binary}
    for bindings in ({}, same_type, many, unequal):
        assert bson_walk.rebind(reply, bindings) is reply


def test_rebind_with_many_bindings() -> None:
    """Above the number that is worth a search each, bindings still apply."""
    bindings = {b"\x07" + bytes([number]) * 12: b"\x07" + OID_B.binary for number in range(99)}
    rebound = bson_walk.rebind(bson.encode({"_id": ObjectId(bytes([7]) * 12)}), bindings)
    assert bson.decode(rebound) == {"_id": OID_B}


def test_cursor_ids_are_read_and_set() -> None:
    """The cursor's id is read from a reply and another one put in its place; the rest is untouched."""
    reply = {"cursor": {"firstBatch": [{"id": Int64(1)}], "id": Int64(77), "ns": "a.b"}, "ok": 1.0}
    encoded = bson.encode(reply)
    assert messages.cursor_id(encoded) == 77
    changed = messages.set_cursor_id(encoded, 1 << 62)
    assert messages.cursor_id(changed) == 1 << 62
    assert messages.set_cursor_id(changed, 77) == encoded


@pytest.mark.parametrize("batch", [[], [{"id": Int64(0)}], [{"id": Int64(5)}], [{"id": 0}], [{"id": {"id": Int64(0)}}]])
@pytest.mark.parametrize("number", [0, Int64(0), 77, Int64(77)])
def test_ids_in_documents_are_no_cursors(batch: list[dict[str, Any]], number: int) -> None:
    """The cursor's id is found whatever the documents hold, in 32 bits or 64."""
    reply = {"cursor": {"firstBatch": batch, "id": number, "ns": "a.b"}, "ok": 1.0}
    assert messages.cursor_id(bson.encode(reply)) == number
    assert messages.cursor_id(bson.encode({"value": batch, "ok": 1.0})) == 0


@pytest.mark.parametrize("reply", [{"ok": 1.0}, {"cursor": 5}, {"cursor": {"ns": "a"}}, {"cursor": {"id": "x"}}])
def test_reply_without_a_cursor(reply: dict[str, Any]) -> None:
    """Where there is no cursor its id is 0, and there is nothing to set."""
    encoded = bson.encode(reply)
    assert messages.cursor_id(encoded) == 0
    assert messages.set_cursor_id(encoded, 5) is encoded


def test_cursor_id_that_does_not_fit_is_refused() -> None:
    """An id of more than 64 bits is refused with our error."""
    with pytest.raises(CassetteError):
        messages.set_cursor_id(bson.encode({"cursor": {"id": Int64(1)}}), 1 << 64)


def test_cursor_id_of_a_getmore() -> None:
    """A getMore says which cursor it continues; no other command does."""
    assert messages.getmore_cursor_id(messages.parse_message(wire({"getMore": Int64(-5), "collection": "c"}))) == -5
    for body in ({"find": "getMore"}, {"getMore": "five, as a text"}):
        assert messages.getmore_cursor_id(messages.parse_message(wire(body))) is None


# --- secrets


@pytest.mark.parametrize(
    "body",
    [
        {"createUser": "bob", "pwd": "hunter2", "roles": [], "$db": "app"},
        {"updateUser": "bob", "pwd": "hunter2"},
        {"saslStart": 1, "mechanism": "PLAIN", "payload": Binary(b"\0bob\0hunter2"), "$db": "$external"},
        {"saslContinue": 1, "conversationId": 1, "payload": b"hunter2"},
        {"authenticate": 1, "nonce": "hunter2", "key": "hunter2"},
        {"copydbsaslstart": 1, "payload": "hunter2"},
        {"hello": 1, "speculativeAuthenticate": {"saslStart": 1, "payload": b"hunter2", "db": "admin"}},
    ],
)
def test_secrets_are_masked(body: dict[str, Any]) -> None:
    """Commands that carry a password leave it out, and stay whole messages with all other fields."""
    for buf in (wire(body), wire(body, flags=1), legacy(body)):
        masked = messages.redacted(buf)
        assert b"hunter2" not in masked
        assert b"[redacted]" in masked
        shown = bson.decode(messages.parse_message(masked).body)
        assert list(shown) == list(body)
        kept = set(body) - {"pwd", "payload", "nonce", "key", "speculativeAuthenticate"}
        assert {name: shown[name] for name in kept} == {name: body[name] for name in kept}
        assert messages.redacted(masked) is masked


def test_other_messages_are_not_touched() -> None:
    """A message without secrets comes back as the same object, whatever its fields are called."""
    others = (
        wire({"insert": "c", "pwd": "x"}),
        wire({"hello": 1}),
        legacy({"ismaster": 1}),
        compressed(b"", b"", 0),
        b"x",
    )
    for buf in others:
        assert messages.redacted(buf) is buf


def test_secrets_of_replies_are_masked() -> None:
    """The payloads in log-in and hello replies are masked; other replies come back as the same object."""
    reply = bson.encode({"ok": 1.0, "payload": b"r=,s=,i=15000", "speculativeAuthenticate": {"payload": b"v=abc"}})
    for command in ("saslStart", "saslContinue", "hello", "isMaster"):
        shown = bson.decode(messages.redacted_reply(command, reply))
        assert shown == {"ok": 1.0, "payload": b"[redacted]", "speculativeAuthenticate": {"payload": b"[redacted]"}}
    assert messages.redacted_reply("find", reply) is reply


# --- for people


def test_text_forms_of_ids() -> None:
    """An id may be written in both cases, a UUID with and without dashes, an old one in three byte orders."""
    assert value_forms.written(b"\x07" + OID_B.binary) == (b"64b0000000000000000000ff", b"64B0000000000000000000FF")
    some = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
    forms = [str(some), str(some).upper(), some.hex, some.hex.upper()]
    assert value_forms.written(b"\x04" + some.bytes) == tuple(form.encode() for form in forms)
    for representation in (bson.binary.PYTHON_LEGACY, bson.binary.CSHARP_LEGACY, bson.binary.JAVA_LEGACY):
        stored = Binary.from_uuid(some, representation)
        assert {form.encode() for form in forms} <= set(value_forms.written(b"\x03" + bytes(stored)))
    assert value_forms.written(b"\x02abc") == (b"abc",)
    assert value_forms.written(b"\x11" + bytes(8)) == ()


def test_text_forms_of_times() -> None:
    """A time may be written as its date, as date and minute, or as seconds or milliseconds since 1970."""
    noon = struct.pack("<q", 1_714_564_800_000)
    forms = value_forms.written(b"\x09" + noon)
    assert {b"2024-05-01T12:00", b"2024-05-01 12:00", b"2024-05-01%20T12:00".replace(b"T", b"")} <= set(forms)
    assert {b"2024-05-01T12%3A00", b"1714564800", b"1714564800000"} <= set(forms)
    assert value_forms.written(b"\x09" + struct.pack("<q", 1_714_521_600_000))[0] == b"2024-05-01"
    assert value_forms.written(b"\x09" + bytes(8)) == (b"1970-01-01",)
    assert value_forms.written(b"\x09" + struct.pack("<q", 1 << 62)) == (
        str((1 << 62) // 1000).encode(),
        str(1 << 62).encode(),
    )


def test_render_shows_extended_json() -> None:
    """A call is shown as relaxed extended JSON, its document sequences as arrays of the command."""
    request = wire({"insert": "c", "$db": "app"}, ("documents", [{"_id": OID_A, "n": 1}]))
    shown = report.render(request, bson.encode({"ok": 1.0, "at": dt.datetime(2024, 5, 1, tzinfo=dt.UTC)}))
    assert shown == {
        "request": {"insert": "c", "$db": "app", "documents": [{"_id": {"$oid": str(OID_A)}, "n": 1}]},
        "response": {"ok": 1.0, "at": {"$date": "2024-05-01T00:00:00Z"}},
    }
    assert report.render(None, None) == {"request": None, "response": None}
    far = raw_document(b"\x09t\0" + struct.pack("<q", 1 << 62), b"\x06u\0", b"\x05b\0\x10\0\0\0\4" + bytes(16))
    assert set(report.render(None, far)["response"]) == {"t", "u", "b"}


def test_render_notes_what_it_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged bytes, and a missing pymongo, give a note in place of the document."""
    shown = report.render(b"xx", b"yy")
    assert "record again" in shown["request"]["note"]
    assert shown["response"]["bytes"] == 2
    damaged = messages.parse_message(wire({"insert": "c"}, ("documents", [{"n": 1}])))
    damaged.sections[0] = ("documents", b"\x07")
    assert "record again" in report.render_message(damaged)["note"]
    monkeypatch.setitem(sys.modules, "bson", None)
    assert report.render(None, b"y") == {
        "request": None,
        "response": {"note": "pip install pymongo to see this document", "bytes": 1},
    }


@pytest.mark.parametrize(
    ("recorded", "asked", "line"),
    [
        (
            {"filter": {"status": "paid"}},
            {"filter": {"status": "open"}},
            'filter.status: "paid" recorded, "open" asked',
        ),
        ({"limit": 1}, {}, "limit: 1 recorded, nothing asked"),
        ({}, {"limit": 1}, "limit: nothing recorded, 1 asked"),
        ({"limit": 1}, {"limit": Int64(1)}, "limit: 1 (int32) recorded, 1 (int64) asked"),
        ({"q": {"a": 1}}, {"q": [1]}, "q: {…} recorded, […] asked"),
        ({"a": OID_A, "b": 1.5}, {"a": OID_B, "b": True}, "b: 1.5 recorded, true asked"),
        ({"a": OID_A}, {"a": OID_B}, f"a: ObjectId({OID_A}) recorded, ObjectId({OID_B}) asked"),
        ({"q": {"a": 1, "b": 2}}, {"q": {"b": 2, "a": 1}}, "the same fields, in another order"),
        ({"lsid": LSID}, {"comment": "x"}, "nothing but what the driver adds"),
        ({"x": Regex("a", 2)}, {"x": None}, "x: /a/i recorded, null asked"),
        ({"x": Timestamp(5, 1)}, {"x": MinKey()}, "x: Timestamp(5, 1) recorded, MinKey asked"),
        (
            {"x": Binary(b"ab", 0)},
            {"x": Binary(bytes(16), 4)},
            f"x: 2 bytes of subtype 0: 6162 recorded, UUID({uuid.UUID(int=0)}) asked",
        ),
        (
            {"x": dt.datetime(2024, 5, 1, tzinfo=dt.UTC)},
            {"x": Decimal128("1")},
            f"x: 2024-05-01T00:00:00Z recorded, type 0x13 {Decimal128('1').bid.hex()} asked",
        ),
    ],
)
def test_difference_names_the_first_field(recorded: dict[str, Any], asked: dict[str, Any], line: str) -> None:
    """A miss report says which field differs, and both values; ids and times only when nothing else does."""
    assert report.difference(wire({"find": "c", **recorded}), wire({"find": "c", **asked})) == line


def test_difference_of_commands_and_sections() -> None:
    """Another command is said first; a document sequence is named by its number; an explained command by its path."""
    insert = wire({"insert": "c"}, ("documents", [{"n": 1}, {"n": 2}]))
    other = wire({"insert": "c"}, ("documents", [{"n": 1}, {"n": 3}]))
    assert report.difference(insert, other) == "documents.1.n: 2 recorded, 3 asked"
    assert report.difference(insert, wire({"find": "c"})) == "command: insert recorded, find asked"
    one, two = (wire({"explain": {"find": "c", "comment": comment, "limit": n}}) for comment, n in (("a", 1), ("b", 2)))
    assert report.difference(one, two) == "explain.limit: 1 recorded, 2 asked"
    more = (wire({"getMore": Int64(number), "collection": "c"}) for number in (1, 2))
    assert report.difference(*more) == "nothing but what the driver adds"


def test_difference_of_long_values_is_shortened_to_where_they_differ() -> None:
    """Long values are cut on both sides of the first character that differs."""
    line = report.difference(
        wire({"find": "c", "x": "a" * 200 + "L" + "b" * 200}), wire({"find": "c", "x": "a" * 200 + "R"})
    )
    assert "L" in line
    assert "R" in line
    assert len(line) < 180
