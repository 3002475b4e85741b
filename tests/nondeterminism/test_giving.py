"""What a program drew while it was recorded it draws again in the replay."""

# ruff: noqa: DTZ005 - apps draw local times too

from __future__ import annotations

import asyncio
import os
import random
import secrets
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.nondeterminism.drawing import DRAWS, Moment
from timetracer_otel import seams, testing
from timetracer_otel.config import NONDETERMINISM
from timetracer_otel.nondeterminism import draws
from timetracer_otel.nondeterminism.draws import FULL
from timetracer_otel.nondeterminism.kinds import KINDS
from timetracer_otel.replay.answering.session import Player


def twice(
    folder: Path, draw: Callable[[], Any], again: Callable[[], Any] | None = None, **settings: Any
) -> tuple[Any, Any]:
    """Record what a function gives, then replay it, or another one."""
    with testing.record(folder, **settings):
        recorded = draw()
    with testing.replay(folder):
        return recorded, (again or draw)()


def fresh() -> list[str]:
    """The kinds of the draws that the replay in force had no recording of, but what runs the tests."""
    player = seams.active()
    assert isinstance(player, Player)
    notes = [note for note in player.journal.kept if note["what"] == "fresh"]
    whose = [(note["kind"], note["module"] + note["statement"]) for note in notes]
    return [kind for kind, where in whose if "_pytest." not in where and "hypothesis." not in where]


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_is_given_back(tmp_path: Path, name: str) -> None:
    """The value, and its type, are those that were recorded; without a replay they are others."""
    recorded, replayed = twice(tmp_path, DRAWS[name])
    assert repr(replayed) == repr(recorded)
    assert type(replayed) is type(recorded)


@pytest.mark.parametrize("name", ["time.time", "uuid.uuid4", "random", "secrets", "os.urandom"])
def test_nothing_is_given_back_when_it_is_off(tmp_path: Path, name: str) -> None:
    """With ``nondeterminism=none`` a replay draws anew."""
    recorded, replayed = twice(tmp_path, DRAWS[name], nondeterminism="none")
    assert replayed != recorded


def test_each_group_has_a_switch(tmp_path: Path) -> None:
    """Only what is named is recorded; the rest is live, and not reported as missing."""

    def draw() -> tuple[uuid.UUID, float, list[str]]:
        return uuid.uuid4(), random.random(), fresh() if isinstance(seams.active(), Player) else []

    recorded, replayed = twice(tmp_path, draw, nondeterminism="uuid")
    assert (replayed[0] == recorded[0], replayed[1] == recorded[1]) == (True, False)
    assert replayed[2] == []


def test_every_kind_belongs_to_a_group() -> None:
    """Each group that can be set has kinds, and each kind a group."""
    assert {kind.group for kind in KINDS.values()} == set(NONDETERMINISM)


def test_an_extra_draw_shifts_nothing(tmp_path: Path) -> None:
    """A new statement that draws gets a live value, is reported, and leaves the others theirs."""

    def before() -> list[Any]:
        found = []
        for _ in range(3):
            found.append(uuid.uuid4())  # noqa: PERF401 - the same statement as below
        return found

    def after() -> list[Any]:
        found: list[Any] = []
        log: list[Any] = []
        log.append((uuid.uuid4(), "begin"))
        for _ in range(3):
            log.append(uuid.uuid4().hex)
            found.append(uuid.uuid4())
        assert fresh() == ["uuid.uuid4"] * 4
        return found

    recorded, replayed = twice(tmp_path, before, after)
    assert replayed == recorded


def test_a_renamed_function_and_moved_lines_shift_nothing(tmp_path: Path) -> None:
    """The same statements elsewhere in the module, with another layout, are the same draws."""

    def make() -> tuple[Any, ...]:
        one = uuid.uuid4()
        moment = datetime.now()
        two = random.random()
        return one, moment, two

    def make_by_another_name() -> tuple[Any, ...]:
        two = random.random()
        # a comment more
        moment = datetime.now()
        one = uuid.uuid4()
        return one, moment, two

    recorded, replayed = twice(tmp_path, make, make_by_another_name)
    assert replayed == recorded


def test_a_list_of_another_length_is_drawn_from_anew(tmp_path: Path) -> None:
    """A recorded choice that the live list does not have is no answer, and no error."""
    items = list(range(1000))

    def pick() -> int:
        return random.choice(items)

    def shrink() -> int:
        items[:] = [7]
        return pick()

    while (both := twice(tmp_path / os.urandom(4).hex(), pick, shrink))[0] == 0:
        items[:] = range(1000)
    assert both[1] == 7


def test_a_choice_that_does_not_fit_uses_up_its_own_alone(tmp_path: Path) -> None:
    """Of many choices of one statement, those behind one from a shorter list are what they were, and it is reported."""

    def draw(shorter: int | None) -> tuple[list[int], list[str]]:
        found = [random.choice(range(1 if number == shorter else 10**6)) for number in range(40)]
        return found, fresh() if isinstance(seams.active(), Player) else []

    recorded, replayed = twice(tmp_path, lambda: draw(None), lambda: draw(20))
    assert replayed[0] == [*recorded[0][:20], 0, *recorded[0][21:]]
    assert replayed[1] == ["random.choice"]


def test_statements_and_threads_that_take_turns_have_their_own(tmp_path: Path) -> None:
    """One function of a library, asked by two statements in turn, two kinds in one loop, and a thread in between."""

    def pick() -> list[Any]:
        found: list[Any] = []
        for _ in range(6):
            found.append([random.choice(range(10**9)) for _ in range(3)])
            found.append(random.choice(range(10**9)))
            found.append((random.choice("abcdefgh"), random.randrange(10**9), random.choice(range(10**9))))
            thread = threading.Thread(target=lambda: found.append(random.choice(range(10**9))))
            thread.start()
            thread.join()
            found.append((secrets.choice(range(10**9)), tempfile.mktemp(), tempfile.mktemp()))  # noqa: S306 - a name only
        return found

    recorded, replayed = twice(tmp_path, pick)
    assert replayed == recorded


def test_more_draws_than_a_lane_keeps_come_back_in_order(tmp_path: Path) -> None:
    """What is written meanwhile, from the lane's own flow and from a thread, is lost nowhere."""

    def pick() -> list[Any]:
        found = [random.choice(range(90)) for _ in range(FULL)]
        thread = threading.Thread(target=lambda: found.extend(random.choice(range(10**6)) for _ in range(FULL + 10)))
        thread.start()
        thread.join()
        return found

    recorded, replayed = twice(tmp_path, pick)
    assert replayed == recorded


def test_a_fault_of_ours_does_not_reach_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while a draw is noted, the app has its value."""

    def fail(*_: object) -> None:
        raise LookupError("a fault of ours")

    monkeypatch.delenv("TIMETRACER_RAISE_FAULTS")
    with testing.record(tmp_path):
        monkeypatch.setattr(draws.Noted, "column", fail)
        assert 0 <= random.choice(range(90)) < 90
        assert isinstance(uuid.uuid4(), uuid.UUID)


def test_tasks_have_their_own(tmp_path: Path) -> None:
    """Each of many tasks that run one function gets its own values, in whatever order they run."""

    def run(seed: int) -> list[list[str]]:
        pauses = random.Random(seed)

        async def work(pause: float) -> list[str]:
            await asyncio.sleep(pause)
            first = uuid.uuid4().hex
            await asyncio.sleep(pause)
            return [first, uuid.uuid4().hex]

        async def all_of_them() -> list[list[str]]:
            return await asyncio.gather(*(work(pauses.random() / 50) for _ in range(20)))

        return asyncio.run(all_of_them())

    recorded, replayed = twice(tmp_path, lambda: run(1), lambda: run(2))
    assert replayed == recorded


@pytest.mark.parametrize("seed", range(3))
def test_threads_have_their_own(tmp_path: Path, seed: int) -> None:
    """Likewise of threads, started as such or by an executor."""

    def work(pause: float) -> str:
        time.sleep(pause)
        return uuid.uuid4().hex

    def run(seed: int) -> tuple[list[str], list[str]]:
        pauses = [random.Random(f"{seed} {number}").random() / 50 for number in range(12)]
        with ThreadPoolExecutor(6) as pool:
            by_pool = list(pool.map(work, pauses))
        results: dict[int, str] = {}
        threads = [
            threading.Thread(target=lambda n=n, p=p: results.__setitem__(n, work(p))) for n, p in enumerate(pauses)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return by_pool, [results[number] for number in range(12)]

    recorded, replayed = twice(tmp_path, lambda: run(seed), lambda: run(seed + 10))
    assert replayed == recorded


def test_generators_draw_where_they_stand(tmp_path: Path) -> None:
    """A generator's draws are its own statement's, however it is taken turns with."""

    def ids() -> Iterator[str]:
        while True:
            yield uuid.uuid4().hex

    def alternately() -> list[str]:
        return [f"{one} {uuid.uuid4()}" for one, _ in zip(ids(), range(5), strict=False)]

    recorded, replayed = twice(tmp_path, alternately)
    assert replayed == recorded


def test_code_made_parallel_gets_the_same_values(tmp_path: Path) -> None:
    """Draws that were made one after the other in the recording and in threads now are given out once each."""

    def draw(_: int) -> str:
        return uuid.uuid4().hex

    def parallel() -> list[str]:
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(draw, range(8)))

    recorded, replayed = twice(tmp_path, lambda: [draw(n) for n in range(8)], parallel)
    assert sorted(replayed) == sorted(recorded)


def test_many_draws_are_all_kept(tmp_path: Path) -> None:
    """More draws than a lane keeps in memory go to the file in between, in order."""

    def many() -> list[float]:
        return [random.random() for _ in range(12_000)]

    recorded, replayed = twice(tmp_path, many)
    assert replayed == recorded


def test_a_subclass_of_datetime_stays_one(tmp_path: Path) -> None:
    """What a subclass's ``now`` gives is of the subclass, recorded and replayed."""
    recorded, replayed = twice(tmp_path, Moment.now)
    assert (type(recorded), type(replayed)) == (Moment, Moment)
