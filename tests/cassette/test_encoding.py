"""JSON in a process whose address space is limited: the same bytes, and MemoryError instead of a signal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from timetracer_otel import encoding
from timetracer_otel.cassette import any_value

DOCUMENTS = [
    {"b": [1, -2, 1.5, True, None], "a": 'ü " \\ \n \x01 \u2028 \U0001f600'},
    "text",
    [],
    {},
    [{"nested": {"deep": ["x"] * 3}}],
]

LIMITED = """
import resource, sys
from timetracer_otel import encoding
big = "x" * (40 << 20)
now = int(next(line for line in open("/proc/self/status") if line.startswith("VmSize")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_AS, (now + (16 << 20),) * 2)
assert encoding.look() == now + (16 << 20)
for document in (big, [big] * 2, ["x" * 100] * 400_000):
    try:
        encoding.dumps(document)
    except MemoryError:
        print("said")
print(encoding.dumps({"still": "there"}).decode())
"""


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("option", [0, orjson.OPT_APPEND_NEWLINE, orjson.OPT_SORT_KEYS])
def test_both_encoders_write_the_same(monkeypatch: pytest.MonkeyPatch, document: object, option: int) -> None:
    """Byte by byte, whatever the limits of the process."""
    plain = encoding.dumps(document, option)
    monkeypatch.setattr(encoding, "_limited", True)
    assert encoding.dumps(document, option) == plain == orjson.dumps(document, option=option)


def test_what_is_no_unicode_is_mended_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lone surrogate becomes U+FFFD."""
    plain = any_value.dumps({"a": "\ud800x"})
    monkeypatch.setattr(encoding, "_limited", True)
    assert any_value.dumps({"a": "\ud800x"}) == plain


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="limits the address space by what Linux says of it")
def test_too_little_memory_is_an_exception() -> None:
    """Orjson would end the process."""
    result = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == '{"still":"there"}'
    assert "said" in result.stdout
