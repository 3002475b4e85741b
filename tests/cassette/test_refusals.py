"""What is no cassette, or a damaged one, is refused with an error that names file, line and cause."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from tests.cassette.conftest import (
    COMPRESSIONS,
    VALID,
    one_span,
    read_data,
    refusal,
    with_attribute,
)
from timetracer_otel.cassette import files, reading, storage
from timetracer_otel.config import Compression
from timetracer_otel.errors import CassetteError

# Refusals: each names file, line, cause and, where there is one, the cure.


@pytest.mark.parametrize(
    ("data", "line", "cause"),
    [
        (b"hello", 1, "is not JSON"),
        (b"[1, 2]", 1, "is a list, not an OTLP TracesData object"),
        (b"null", 1, "is null, not"),
        (b"17", 1, "is 17, not"),
        (b'"text"', 1, "is 'text', not"),
        (b'{"foo": 1, "bar": 2}', 1, "JSON without resourceSpans (it has foo, bar)"),
        (b'{"resourceMetrics": []}', 1, "holds OTLP metrics"),
        (b'{"resource_logs": []}', 1, "holds OTLP logs"),
        (b'{"schema_version": "1.0", "session": {}, "request": {}}', 1, "timetracer 1.x"),
        (b'{\n  "schema_version": "1.0",\n  "session": {}\n}', 1, "`timetracer import`"),
        (b'{\n  "resourceSpans": []\n}', 1, "over several lines"),
        (b"{", 1, "cut short"),
        (VALID + VALID[:40], 3, "cut short"),
        (VALID + VALID.replace("ü".encode(), b"\xc3")[:-2], 3, "binary"),
        (b"\x0a\x8c\x01\x00\x12\xff", 2, "is binary"),
        (VALID + b"\n\n[]", 5, "a list"),
        (b'{"resourceSpans": ' + b"[" * 5000 + b"]" * 5000 + b"}", 1, "not JSON"),
        (b'{"resourceSpans": ' + b"1" * 5000 + b"}", 1, "not JSON"),
        (b'{"resourceSpans": {}}', 1, "resourceSpans is an object, not a list"),
        (b'{"resourceSpans": [1]}', 1, "resourceSpans has 1 in it, not an object"),
        (b'{"resourceSpans": [{"resource": []}]}', 1, "resource is a list, not an object"),
        (b'{"resourceSpans": [{"scopeSpans": "x"}]}', 1, "scopeSpans is 'x', not a list"),
        (b'{"resourceSpans": [{"scopeSpans": [{"scope": {"name": 1}}]}]}', 1, "name is 1, not a string"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [null]}]}]}', 1, "spans has null in it"),
        (b'{"resourceSpans": [{"instrumentationLibrarySpans": []}]}', 1, "older than 0.15"),
        (one_span(traceId="ab"), 1, "traceId is 'ab', not 32 hexadecimal digits"),
        (one_span(traceId="x" * 32), 1, "not 32 hexadecimal digits"),
        (one_span(traceId="0" * 32), 1, "traceId is missing or all zeros"),
        (one_span(spanId=5), 1, "spanId is 5, not a string"),
        (one_span(spanId=""), 1, "spanId is missing or all zeros"),
        (one_span(parentSpanId="abc"), 1, "parentSpanId is 'abc', not 16"),
        (one_span(name="n", startTimeUnixNano="soon"), 1, "span 'n': startTimeUnixNano is 'soon'"),
        (one_span(startTimeUnixNano=-1), 1, "startTimeUnixNano is -1, not a whole number that fits"),
        (one_span(endTimeUnixNano="9" * 10_000), 1, "endTimeUnixNano is '999"),
        (one_span(endTimeUnixNano=1.5), 1, "endTimeUnixNano is 1.5"),
        (one_span(kind="CLIENT"), 1, "kind is 'CLIENT', which OTLP does not define"),
        (one_span(kind=True), 1, "kind is True"),
        (one_span(status=3), 1, "status is 3, not an object"),
        (one_span(events=[{"attributes": 1}]), 1, "attributes is 1, not a list"),
        (one_span(links=[{"traceId": "1"}]), 1, "traceId is '1'"),
        (one_span(attributes=[{"key": 1}]), 1, "the key 1, which is no string"),
        (one_span(attributes=[{"key": "k", "value": "bare"}]), 1, "attribute 'k': its value is 'bare'"),
        (with_attribute({"intValue": 2**63}), 1, "intValue is 9223372036854775808"),
        (with_attribute({"intValue": "1.0"}), 1, "intValue is '1.0'"),
        (with_attribute({"intValue": True}), 1, "intValue is True"),
        (with_attribute({"boolValue": 1}), 1, "boolValue is 1"),
        (with_attribute({"stringValue": ["x"]}), 1, "stringValue is a list"),
        (with_attribute({"doubleValue": "ten"}), 1, "doubleValue is 'ten'"),
        (with_attribute({"bytesValue": "***"}), 1, "bytesValue is '***', not base64"),
        (with_attribute({"bytesValue": 1}), 1, "bytesValue is 1"),
        (with_attribute({"arrayValue": []}), 1, "arrayValue is a list"),
        (with_attribute({"arrayValue": {"values": {}}}), 1, "arrayValue has an object as values"),
        (with_attribute({"kvlistValue": 1}), 1, "kvlistValue is 1"),
        (with_attribute({"arrayValue": {"values": [7]}}), 1, "its value is 7"),
    ],
)
def test_what_is_no_cassette_is_refused(tmp_path: Path, data: bytes, line: int, cause: str) -> None:
    """The error names the file, the line and the cause."""
    error = refusal(tmp_path / "f.jsonl", data)
    assert error.line == line
    assert cause in str(error)


def test_spans_before_a_damaged_line_are_given_first(tmp_path: Path) -> None:
    """Reading streams: the error comes where the damage is."""
    (tmp_path / "f").write_bytes(VALID + b"damaged")
    spans = reading.read_spans(tmp_path / "f")
    assert [next(spans).span_id[-1] for _ in range(2)] == ["1", "2"]
    with pytest.raises(CassetteError, match="line 3"):
        next(spans)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress])
@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda data: data[:-3], "damaged or ends early"),
        (lambda data: data[: len(data) // 2], "damaged or ends early"),
        (lambda data: data[:8], "damaged or ends early"),
        (lambda data: data[:-5] + b"\0\1\2\3\4", "damaged or ends early"),
        (lambda data: data + data[:20], "damaged or ends early"),
        (lambda data: data + b"junk", "damaged or ends early"),
    ],
)
def test_damaged_compression_is_refused(
    tmp_path: Path, compress: Callable[[bytes], bytes], damage: Callable[[bytes], bytes], cause: str
) -> None:
    """Cut, changed or followed by something else: never taken for a shorter cassette."""
    assert cause in str(refusal(tmp_path / "f", damage(compress(VALID))))


def test_deep_nesting_within_the_json_is_refused_or_read(tmp_path: Path) -> None:
    """A value as deep as the JSON parser goes does not exhaust the stack."""
    for depth in (100, 300, 600, 5000):
        deep = b'{"arrayValue":{"values":[' * depth + b"{}" + b"]}}" * depth
        line = with_attribute({"stringValue": "HERE"}).replace(b'{"stringValue":"HERE"}', deep)
        if depth <= 300:
            assert len(read_data(tmp_path / "f", line)) == 1
        else:
            assert refusal(tmp_path / "f", line).line == 1


def test_a_deep_resource_and_deep_escaped_json_do_no_harm(tmp_path: Path) -> None:
    """Neither the resource cache nor the slow parser fails on nesting."""
    deep = b'{"arrayValue":{"values":[' * 300 + b"{}" + b"]}}" * 300
    line = b'{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":%s}]},"scopeSpans":[]}]}' % deep
    assert read_data(tmp_path / "f", line) == []
    assert refusal(tmp_path / "f", b'["\\ud800"' + b"[" * 100_000).line == 1


def test_a_line_of_absurd_length_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file without newlines does not fill the memory, compressed or not."""
    monkeypatch.setattr(files, "MAX_MESSAGE", 1000)
    for compression in COMPRESSIONS:
        error = refusal(tmp_path / "f", storage.compress(VALID + b" " * 5000, compression))
        assert "longer than 1000 bytes" in str(error)


@pytest.mark.parametrize("name", ["missing", "folder", "file/below", "x" * 300, "a\0b"])
def test_what_cannot_be_opened_is_refused(tmp_path: Path, name: str) -> None:
    """A missing file, a folder, a name that no filesystem takes."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CassetteError, match="cannot be read"):
        list(reading.read_spans(tmp_path / name))


def test_a_file_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's word for it is in the message. The tests may run as root, so the refusal is made."""

    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "f").write_bytes(b"")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CassetteError, match=r"cannot be read \(Permission denied\)"):
        list(reading.read_spans(tmp_path / "f"))


# Properties: whatever a file holds, it is read or refused with a CassetteError.


def read_or_refuse(path: Path, data: bytes) -> None:
    """Read a file, and take nothing but a CassetteError that names it."""
    try:
        read_data(path, data)
    except CassetteError as error:
        assert error.file == str(path)  # noqa: PT017 - whether it raises at all is open here


@given(data=st.binary(max_size=300))
@example(data=b"\x1f\x8b")
@example(data=b"\x28\xb5\x2f\xfd")
def test_arbitrary_bytes_are_read_or_refused(scratch: Path, data: bytes) -> None:
    """Nothing but a CassetteError comes out, with a magic number in front or not."""
    for magic in (b"", files.GZIP_MAGIC, files.ZSTD_MAGIC):
        read_or_refuse(scratch, magic + data)


@given(
    compression=st.sampled_from(COMPRESSIONS),
    at=st.integers(0, len(VALID)),
    removed=st.integers(0, 30),
    inserted=st.binary(max_size=10) | st.sampled_from([b'"', b"{", b"}", b"[", b"null", b"-1", b"1e999", b"\\ud800"]),
)
def test_a_mutated_cassette_is_read_or_refused(
    scratch: Path, compression: Compression, at: int, removed: int, inserted: bytes
) -> None:
    """Bytes changed, removed or inserted anywhere, before or behind compression."""
    data = storage.compress(VALID, compression)
    read_or_refuse(scratch, data[:at] + inserted + data[at + removed :])


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values within a JSON document."""
    items: list[Any] = list(
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else []
    )
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


DOCUMENT = orjson.loads(VALID.splitlines()[0])


@given(place=st.sampled_from(places(DOCUMENT)[1:]), value=json_values)
def test_a_wrong_type_anywhere_is_read_or_refused(scratch: Path, place: tuple[Any, ...], value: object) -> None:
    """Each value of a valid document replaced by any JSON value."""
    document = orjson.loads(VALID.splitlines()[0])
    node = document
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    read_or_refuse(scratch, json.dumps(document).encode())
