"""A set-up that fails at any of its steps undoes itself whole, and the app goes on as without us."""

from __future__ import annotations

import logging
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from timetracer_otel import autoload, instrumenting, nondeterminism, seams, testing
from timetracer_otel.seams import carrying, children, imports, patching, tracing

STEPS: dict[str, tuple[Any, str, int]] = {
    "marking spans": (tracing, "attach", 1),
    "seeing children": (children, "prepare", 1),
    "seeing imports": (imports, "start", 1),
    "the first patches": (patching, "apply", 1),
    "other patches": (patching, "apply", 5),
    "carrying lanes": (carrying, "install", 1),
    "draws": (nondeterminism, "install", 1),
    "instrumentors": (instrumenting, "instrumentors", 1),
}
"""Where it fails: what is called, and at which call of it."""


def patched() -> dict[str, object]:
    """What a set-up changes in this process."""
    provider = tracing.host_provider()
    return {
        "send": vars(HTTPConnection)["send"],
        "time": time.time,
        "exit": sys.exit,
        "write": vars(sys.stdout).get("write"),
        "processors": provider._active_span_processor._span_processors,
        "sampler": provider.sampler,
        "runtime": seams.active(),
        "integrations": dict(seams.integrations),
    }


@pytest.mark.parametrize("step", STEPS)
def test_a_recording_that_cannot_be_set_up(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said, nothing has changed, nothing is written, and what is set up next is whole."""
    module, name, times = STEPS[step]
    original, calls = getattr(module, name), []

    def fail(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        if len(calls) == times:
            raise RuntimeError("broken half way")
        return original(*args, **kwargs)

    before = patched()
    with monkeypatch.context() as broken, caplog.at_level(logging.ERROR, logger="timetracer_otel"):
        broken.setattr(module, name, fail)
        assert autoload.install(mode="record", dir=tmp_path / "none").mode == "off"
    assert len(calls) >= times
    assert [record.message for record in caplog.records] == ["timetracer is off: it could not be set up"]
    assert patched() == before
    assert not (tmp_path / "none").exists()
    with testing.record(tmp_path / "whole"):
        trace.get_tracer("app").start_span("work").end()
    assert patched() == before
    assert list((tmp_path / "whole").rglob("SESSION__*"))


def test_a_replay_that_cannot_be_set_up_is_no_live_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``install()`` raises: the program must not go on to ask what is live."""
    with testing.record(tmp_path):
        trace.get_tracer("app").start_span("work").end()
    before = patched()

    def fail(*_args: Any) -> None:
        raise RuntimeError("broken half way")

    monkeypatch.setattr(carrying, "install", fail)
    with pytest.raises(RuntimeError, match="broken half way"):
        autoload.install(mode="replay", cassette=tmp_path)
    assert patched() == before


def test_a_step_that_cannot_be_undone_leaves_no_other_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other step of the set-up is undone all the same."""
    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS", raising=False)
    before = patched()
    undo = carrying.uninstall

    def fail() -> None:
        undo()
        raise RuntimeError("ours")

    monkeypatch.setattr(carrying, "uninstall", fail)
    with testing.record(tmp_path):
        assert seams.active() is not None
    assert patched() == before
