"""Packed bodies are unpacked to be compared and shown, and only so far: a peer or a client may send a bomb."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped] # ships no types
import pytest
import zstandard

from timetracer_otel import spans
from timetracer_otel.families.http import bodies
from timetracer_otel.replay.comparing.responses import ComparedResponse, compare_response

MOST = 100_000


def raw(body: bytes) -> bytes:
    """Deflate as some peers send it, without a frame."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "zlib": ("deflate", zlib.compress),
    "deflate": ("deflate", raw),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    "brotli": ("br", brotli.compress),
    "gzip twice": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
}


@pytest.mark.parametrize("coding", CODINGS)
def test_a_body_is_unpacked_up_to_a_bound(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is larger counts as it came."""
    monkeypatch.setattr(spans, "UNPACKED", MOST)
    header, pack = CODINGS[coding]
    assert bodies.unpacked(pack(b"a" * MOST), header) == b"a" * MOST
    bomb = pack(b"a" * (MOST + 1))
    assert len(bodies.unpacked(bomb, header)) < MOST
    broken = pack(b"a" * MOST)[:-12]
    assert len(bodies.unpacked(broken, header)) <= MOST


def test_responses_are_unpacked_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of larger ones the packed bytes are compared."""
    monkeypatch.setattr(spans, "UNPACKED", MOST)

    def packed(size: int, level: int) -> ComparedResponse:
        return ComparedResponse(200, [("Content-Encoding", "gzip")], gzip.compress(b"a" * size, level, mtime=0))

    assert not list(compare_response("GET", packed(MOST, 1), packed(MOST, 9)))
    assert list(compare_response("GET", packed(MOST + 1, 1), packed(MOST + 1, 9)))
