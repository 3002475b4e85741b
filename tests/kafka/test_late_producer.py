"""A producer of kafka-python that is collected when the interpreter ends, and nothing is left of our modules."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from timetracer_otel.integrations import kafka_python


def test_its_close_needs_nothing_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has closed when the process began to end; Python would print what is raised here."""
    monkeypatch.setattr(kafka_python, "_CLIENT", None)
    monkeypatch.setattr("sys.is_finalizing", lambda: True)
    producer: Any = SimpleNamespace()
    close = kafka_python._close_producer(lambda *_args, **_kwargs: None)
    close(producer, timeout=1, null_logger=True)
    assert producer._closed
