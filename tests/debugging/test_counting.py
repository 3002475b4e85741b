"""A place is found again, and the one before it."""

from __future__ import annotations

import json.decoder
import sys
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any

import pytest

from timetracer_otel.debugging import counting
from timetracer_otel.debugging.counting import EXACT, FIRST, OWN, Counter, Place, Scout
from timetracer_otel.seams.lanes import Lane

LANE = "a" * 32


class AnyLane(Lane):
    """A lane that does nothing."""

    def finish(self, error: BaseException | None) -> None:
        """Nothing ends."""


@pytest.fixture(autouse=True)
def _in_lane(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The code of each test belongs to the lane, however deep it says it is."""
    entry: Any = object()
    monkeypatch.setattr(counting, "depth", lambda _frame: DEPTH[0])
    with AnyLane(LANE, entry).entered():
        yield


DEPTH = [1]
CODE: CodeType = (lambda: None).__code__


def run(scout: Scout, *lines: tuple[int, int]) -> None:
    """Let lines run: how deep, and which."""
    for depth, line in lines:
        DEPTH[0] = depth
        scout.line(CODE, line)


# A loop that calls a function: 10, 11 (20, 21), 10, 11 (20, 21), 10, 12.
LINES = ((1, 10), (1, 11), (2, 20), (2, 21), (1, 10), (1, 11), (2, 20), (2, 21), (1, 10), (1, 12))


@pytest.mark.parametrize(
    ("back", "number", "line", "hit"),
    [
        ((10, OWN), 9, 10, 3),
        ((9, OWN), 6, 11, 2),
        ((8, OWN), 7, 20, 2),
        ((7, OWN), 6, 11, 2),
        ((8, 1), 6, 11, 2),
        ((1, OWN), 1, 10, 1),
        ((8, EXACT), 8, 21, 2),
        ((1, FIRST), 1, 10, 1),
    ],
)
def test_the_line_before(back: tuple[int, int], number: int, line: int, hit: int) -> None:
    """In the same function or one that has called it; behind a call that has returned, the line of the call."""
    found: list[Place] = []
    run(Scout(LANE, found.append, back=("", *back)), *LINES[: back[0]])
    assert found == [Place("", number, CODE.co_filename, line, hit)]


@pytest.mark.parametrize(("back", "number", "line"), [((10, 1), 10, 12), ((8, 1), 6, 11), ((8, 2), 8, 21)])
def test_from_inside_a_library_the_line_before_is_the_one_that_called_it(
    back: tuple[int, int], number: int, line: int
) -> None:
    """It has begun, and so have those of functions that the library called back."""
    found: list[Place] = []
    run(Scout(LANE, found.append, back=("", *back), inside=True), *LINES[: back[0]])
    assert [(place.number, place.line) for place in found] == [(number, line)]


def test_a_stop_knows_whether_a_library_is_under_way(counter: Counter) -> None:
    """By the frame that the debugger has stopped: the outermost that is none of the debugger's own."""
    DEPTH[0] = 1
    counter.line(CODE, 1)
    asked = "__import__('timetracer_otel.debugging.counting', fromlist=['stop']).stop()"
    app: dict[str, Any] = {"__name__": "an_app"}
    library = dict(vars(json.decoder))
    for names, inside in ((app, "0"), (library, "1")):
        where = "an_app.py" if names is app else json.decoder.__file__
        code = compile("def stands(asked): return eval(asked, globals())", where, "exec")
        exec(code, names)  # noqa: S102 - our own
        assert names["stands"](asked) == f"1 1 {inside} "


def test_what_is_not_the_lane_s_does_not_count() -> None:
    """Lines of another lane are nobody's."""
    counter = Counter("b" * 32)
    counter.line(CODE, 1)
    assert counter.counts == {}


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    """The counter of this process."""
    made = Counter(LANE)
    monkeypatch.setattr(counting, "_current", [made])
    return made


def test_what_is_evaluated_at_a_stop_does_not_count(counter: Counter) -> None:
    """A watch expression may call the app; the count goes on where it was."""
    DEPTH[0] = 1
    for line in (1, 2, 3):
        counter.line(CODE, line)
    assert counting.stop().split(" ", 2)[:2] == ["3", "1"]
    counter.line(CODE, 7)
    counting.resume()
    assert counter.counts[""] == 3


@pytest.mark.parametrize("counts", [True, False])
def test_a_condition_holds_at_its_place(counter: Counter, monkeypatch: pytest.MonkeyPatch, *, counts: bool) -> None:
    """By the number of lines where they are counted, else by how often its line was reached."""
    monkeypatch.setattr(counting, "COUNTS", counts)
    holds: list[bool] = []
    at: Callable[[], bool] = lambda: bool(eval(Place("", 3, "x.py", 1, 2).condition))  # noqa: E731, S307 - our own
    for line in (1, 2, 1, 1):
        counter.line(CODE, line)
        if line == 1:
            holds.append(at())
    assert holds == [False, True, False]
    assert not eval(Place("0", 3, "x.py", 1, 1).condition)  # noqa: S307 - our own


def test_python_counts_from_3_12_on() -> None:
    """Beside a debugger, by its own means."""
    assert (sys.version_info >= (3, 12)) is counting.COUNTS
