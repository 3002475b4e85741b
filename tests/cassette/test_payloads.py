"""Payloads as strings: whatever the bytes are, they come back, and are written in the shorter of the two codecs."""

from __future__ import annotations

import orjson
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timetracer_otel import spans

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
