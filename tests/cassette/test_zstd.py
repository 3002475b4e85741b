"""What stands on zstd, where its library is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Recording
from timetracer_otel import testing
from timetracer_otel.cassette import bundle, loading, shelf, storage
from timetracer_otel.errors import CassetteError
from timetracer_otel.families.http import bodies

MISSING = r"zstd needs a library that is not installed: pip install 'timetracer-otel\[zstd\]'"


def test_without_the_library_each_need_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading, writing and recording name the extra; what needs no zstd works."""
    recording = Recording()
    recording.entry()
    plain = recording.write(tmp_path / "plain.jsonl")
    packed = tmp_path / "packed.jsonl.zst"
    packed.write_bytes(storage.compress(recording.line(), "zstd"))
    body = bodies.packed(b"{}", "zstd")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(CassetteError, match=f"{packed}: {MISSING}"):
        loading.load_alone([packed])
    with pytest.raises(CassetteError, match=MISSING):
        bundle.bundle([plain], tmp_path / "bundle.jsonl.zst", None)
    with pytest.raises(CassetteError, match=MISSING), testing.record(tmp_path / "new", compression="zstd"):
        pass
    both = tmp_path / "both.jsonl"
    other = Recording(2)
    other.entry()
    both.write_bytes(plain.read_bytes() + other.line())
    assert len(list(shelf.Shelf.of([both]).lanes)) == 2
    assert bodies.unpacked(body, "zstd") == body
