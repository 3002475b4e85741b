"""Keys for tests of who asks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from timetracer_otel import sealing

KEY = b64encode(bytes(range(32))).decode()


def use(monkeypatch: pytest.MonkeyPatch, key: str | None) -> None:
    """Have another key; None for that of the key file."""
    if key is None:
        monkeypatch.delenv("TIMETRACER_KEY", raising=False)
    else:
        monkeypatch.setenv("TIMETRACER_KEY", key)
    sealing.forget()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A key and a home of the test's own; what comes after it reads its own again."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    use(monkeypatch, KEY)
    yield
    monkeypatch.undo()
    sealing.forget()
