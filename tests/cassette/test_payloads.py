"""Payloads as strings: whatever the bytes are, they come back, and are written in the shorter of the codecs."""

from __future__ import annotations

import random
from collections.abc import Callable

import orjson
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.errors import CassetteError

NAME = spans.HTTP_RESPONSE_BODY


@given(st.binary(max_size=6000) | st.text(max_size=3000).map(str.encode))
def test_a_payload_comes_back_byte_for_byte(data: bytes) -> None:
    """Whatever codec was chosen, decoding gives the bytes."""
    assert spans.decode_payload(spans.encode_payload(NAME, data), NAME) == data


@given(st.text(st.characters(max_codepoint=0x7F), max_size=4000).map(str.encode))
def test_the_codec_is_the_one_that_json_writes_shorter(data: bytes) -> None:
    """Text that JSON would escape to more than base64 takes is written as base64, all other text as it is."""
    as_text, as_base64 = len(orjson.dumps(data.decode())) - 2, 4 * len(data) / 3
    codec = spans.encode_payload(NAME, data)[NAME + ".codec"]
    if abs(as_text - as_base64) > 4:  # padding
        assert codec == ("utf-8" if as_text < as_base64 else "base64")


@pytest.mark.parametrize(
    "data",
    [bytes(1_000_000), b"\x01" * 300_000, b"a\x00" * 300_000, bytes(255) + b"x" * 999_745, b'"\\' * 200_000],
    ids=["zeros", "one control", "every second", "few controls", "quotes"],
)
def test_a_large_payload_takes_little_more_than_its_size(data: bytes) -> None:
    """Control characters, six times as long in JSON text, do not make a cassette larger than base64 does."""
    written = orjson.dumps(spans.encode_payload(NAME, data)[NAME])
    assert len(written) <= 1.4 * len(data)


def test_text_is_kept_readable() -> None:
    """JSON, HTML and logs with colours stay text."""
    for data in (
        b'{"name": "x", "list": [1, 2]}' * 50,
        b"<p>\n\t<b>hi</b>\n</p>" * 9000,
        b"\x1b[31mdone\x1b[0m: 12 of 12 files were compiled again\n" * 9,
    ):
        assert spans.encode_payload(NAME, data)[NAME] == data.decode()


def test_cassettes_from_before_are_read() -> None:
    """Text that was written although base64 is shorter decodes as before."""
    old = {NAME: "\0" * 1000, NAME + ".codec": "utf-8", NAME + ".size": 1000}
    assert spans.decode_payload(old, NAME) == bytes(1000)
    assert pybase64.b64decode(str(spans.encode_payload(NAME, bytes(1000))[NAME])) == bytes(1000)


def in_file(data: bytes | list[bytes]) -> dict[str, object]:
    """The attributes of a binary payload as a file has them."""
    members = orjson.loads(b"[" + otlp.binary_json(NAME, data) + b"]")
    return {
        one["key"]: int(one["value"]["intValue"]) if "intValue" in one["value"] else one["value"]["stringValue"]
        for one in members
    }


@given(st.binary(max_size=300).map(lambda data: data * 40) | st.binary(max_size=6000))
def test_a_binary_payload_of_a_file_comes_back(data: bytes) -> None:
    """Compressed or not, whole or in pieces, decoding gives the bytes."""
    assert spans.decode_payload(in_file(data), NAME) == data
    assert spans.decode_payload(in_file([data[:7], data[7:]]), NAME) == data


def test_what_repeats_is_compressed_in_files() -> None:
    """Documents by the thousand take a part of their room; small ones and what is compressed already stay base64."""
    noise = random.Random(1).randbytes(100_000)
    documents = b"\x02name\x00\x06\x00\x00\x00shirt\x00\x10price\x00\x07\x00\x00\x00" * 1000
    assert in_file(documents)[NAME + ".codec"] == "zlib+base64"
    assert len(str(in_file(documents)[NAME])) < len(documents) / 10
    for data in (b"\x00" * 200, noise, noise[:2000]):
        assert in_file(data)[NAME + ".codec"] == "base64"


@pytest.mark.parametrize("change", [lambda text: text[:-4], lambda text: "AAAA" + text[4:], lambda text: text[:0]])
def test_a_damaged_compressed_payload_is_refused(change: Callable[[str], str]) -> None:
    """What was cut or changed on its way is no answer, nor is more than was recorded."""
    whole = in_file(b"0123456789" * 1000)
    with pytest.raises(CassetteError):
        spans.decode_payload({**whole, NAME: change(str(whole[NAME]))}, NAME)
    with pytest.raises(CassetteError):
        spans.decode_payload({**whole, NAME + ".size": 5}, NAME)
