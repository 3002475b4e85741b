"""How much a recording may hold where the address space has a limit."""

from __future__ import annotations

import pytest

from timetracer_otel import encoding
from timetracer_otel.exporters.writing.memory import Memory

MB = 1024**2


def test_without_a_limit_the_setting_counts() -> None:
    """All of it can be taken, and no more."""
    memory = Memory(10 * MB)
    assert memory.take(10 * MB)
    assert not memory.take(1)


def test_a_limited_address_space_is_the_apps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording takes a quarter at most of what is left of it, however much the setting allows."""
    memory = Memory(1 << 40)
    taken = Memory._taken()
    monkeypatch.setattr(encoding, "look", lambda: taken + 400 * MB)
    assert memory.take(80 * MB)
    assert not memory.take(60 * MB)
    assert memory.take(-80 * MB)
    monkeypatch.setattr(encoding, "look", lambda: taken // 2)
    assert not memory.take(MB)
