"""The sink: order, bounds, a writer that is behind, and what counts as a slow disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from timetracer_otel.errors import CassetteError
from timetracer_otel.exporters.writing import sink as module
from timetracer_otel.exporters.writing.disk_speed import Slowness
from timetracer_otel.exporters.writing.losses import Tally
from timetracer_otel.exporters.writing.memory import Memory
from timetracer_otel.exporters.writing.sink import INLINE_BYTES, Sink

LARGE = INLINE_BYTES + 1


@pytest.fixture
def sink() -> Sink:
    """With room for ten large writes."""
    return Sink(Memory(11 * LARGE), Tally())


def behind(gate: threading.Event, write: Callable[[], None]) -> Callable[[], None]:
    """A write that waits for the gate."""

    def gated() -> None:
        gate.wait(10)
        write()

    return gated


def test_small_writes_run_at_once(sink: Sink) -> None:
    """In the caller; one that is behind a large one of its key waits for it."""
    ran: list[str] = []
    gate = threading.Event()
    sink.submit("a", 10, lambda: ran.append(threading.current_thread().name))
    assert ran == [threading.current_thread().name]
    sink.submit("a", LARGE, behind(gate, lambda: ran.append("large")))
    sink.submit("a", 10, lambda: ran.append("behind"))
    sink.submit("b", 10, lambda: ran.append("other"))
    gate.set()
    assert sink.drain(10)
    assert ran[1:] == ["other", "large", "behind"]


def test_a_key_keeps_its_order_when_callers_help(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers do what waits too long; never two writes of one key at once."""
    monkeypatch.setattr(module, "HELP_SECONDS", 0.0)
    sink.memory.limit = 1 << 40
    ran: list[tuple[str, int]] = []

    def writes(key: str) -> None:
        for number in range(500):
            sink.submit(key, LARGE, partial(ran.append, (key, number)))

    threads = [threading.Thread(target=writes, args=(key,)) for key in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sink.drain(10)
    for key in "abcd":
        assert all(one < other for one, other in pairwise([number for name, number in ran if name == key]))
    assert len(ran) == 2000
    assert sink.memory.used == 0


def test_above_the_limit_writes_are_dropped_and_counted(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """Those that wait are written; one log line tells of those that are not."""
    gate = threading.Event()
    ran: list[int] = []
    taken = [sink.submit(str(n), LARGE, behind(gate, partial(ran.append, n)), is_lane=True) for n in range(20)]
    gate.set()
    assert sink.drain(10)
    assert sorted(ran) == [n for n in range(20) if taken[n]]
    assert taken.count(False) == sink.tally.dropped["memory"] >= 10
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 1
    assert sink.tally.attributes()["timetracer.dropped.reason"] == [f"memory={taken.count(False)}"]


def test_a_failing_disk_is_said_once_and_its_end_too(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    """Whole lanes and pieces behind them are counted apart."""

    def fail() -> None:
        raise CassetteError("cannot be written (No space left on device)", file="x")

    for _ in range(5):
        sink.submit("a", 1, fail, is_lane=True)
    sink.submit("a", 1, fail)
    sink.submit("a", 1, lambda: None)
    sink.submit("a", 1, lambda: None)
    assert sink.tally.attributes() == {
        "timetracer.dropped.lanes": 5,
        "timetracer.dropped.spans": 1,
        "timetracer.dropped.reason": ["disk=6"],
    }
    said = [one.getMessage() for one in caplog.records]
    assert len(said) == 2
    assert "No space left" in said[0]
    assert "records again" in said[1]


def test_what_follows_the_first_log_line_is_said_a_minute_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also when nothing more is dropped then."""
    clock = iter([100.0, 101.0, 102.0, 103.0, 161.0, 162.0])
    monkeypatch.setattr("timetracer_otel.exporters.writing.losses.time.monotonic", lambda: next(clock))
    tally = Tally()
    for _ in range(3):
        tally.drop("memory", "all is used")
    for _ in range(3):
        tally.remind()
    assert [one.getMessage()[:37] for one in caplog.records] == [
        "timetracer gave up 1 recording(s), re",
        "timetracer gave up 2 recording(s), re",
    ]


def test_only_the_disk_makes_a_disk_slow() -> None:
    """Writes that take as long as calls that touch no disk say nothing; four that take far longer do."""
    slowness = Slowness()
    assert not any(slowness.compared(0.3, 0.29) for _ in range(100))
    assert [slowness.compared(0.3, 0.001) for _ in range(4)] == [False, False, False, True]
    assert slowness.slow
    slowness.compared(0.001, 0.001)
    slowness.compared(0.3, 0.001)
    assert slowness.slow
    for _ in range(3):
        slowness.compared(0.001, 0.001)
    assert not slowness.slow


def test_chance_does_not_make_a_disk_slow() -> None:
    """Evidence counts in a row: on a busy machine a write is now and then the slower of the two."""
    slowness = Slowness()
    for number in range(100):
        slowness.compared(0.2, 0.01 if number % 3 else 0.3)
    assert not slowness.slow
