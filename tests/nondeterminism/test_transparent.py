"""While draws are recorded, the app's own objects behave as ever; afterwards they are the very same again."""

# ruff: noqa: DTZ005, DTZ011 - apps draw local times too
# ruff: noqa: S301 - pickles of our own

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import os
import pickle
import random
import secrets
import sys
import tempfile
import threading
import time
import types
import uuid
from collections.abc import Iterator
from copy import copy, deepcopy
from datetime import UTC, date, datetime
from functools import singledispatch
from pathlib import Path
from typing import Any

import bson
import pytest

import timetracer_otel
from tests.nondeterminism import drawing
from timetracer_otel import seams, testing
from timetracer_otel.nondeterminism import Noted
from timetracer_otel.nondeterminism.kinds import KINDS

_OWNERS: tuple[Any, ...] = (
    time, os, uuid, random, secrets, datetime, date, random.Random, random.SystemRandom, bson.ObjectId,
    vars(tempfile)["_RandomNameSequence"], asyncio.BaseEventLoop, threading.Thread, drawing,
)  # fmt: skip


_NUMBERS: dict[str, tuple[int, ...]] = {
    "uniform": (1, 2), "triangular": (), "randrange": (9,), "normalvariate": (), "lognormvariate": (0, 1),
    "expovariate": (1,), "gammavariate": (1, 1), "vonmisesvariate": (1, 1), "betavariate": (1, 1),
    "weibullvariate": (1, 1), "paretovariate": (1,),
}  # fmt: skip
_NEW = ("binomialvariate", "uuid6", "uuid7", "uuid8")
"""Functions that only newer Pythons have."""


def members() -> dict[tuple[str, str], Any]:
    """Everything that may be patched."""
    return {(repr(owner), name): value for owner in _OWNERS for name, value in vars(owner).items()}


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[None]:
    """A recording in force, with nothing drawn yet."""
    with testing.record(tmp_path):
        drawn()
        yield


def drawn() -> list[str]:
    """The kinds that the process's session has drawn since the last time; what runs the tests measures times too."""
    runtime = seams.active()
    assert runtime is not None
    noted = runtime.session().draws
    assert isinstance(noted, Noted)
    draws = [(kind.name, "".join(site[2:3]), values) for (kind, site, _), values in noted.take()]
    return [
        name for name, library, values in draws if not library.startswith(("_pytest.", "hypothesis.")) for _ in values
    ]


@pytest.mark.parametrize("mode", ["record", "replay"])
def test_uninstall_puts_the_very_objects_back(tmp_path: Path, mode: str) -> None:
    """Every function, method and bound name is the same object as before."""
    with testing.record(tmp_path):
        time.time()
    before = members()
    with testing.record(tmp_path / "new") if mode == "record" else testing.replay(tmp_path):
        during = members()
    after = members()
    assert {key for key in before if before[key] is not during[key]}
    assert set(after) == set(before)
    assert [key for key in before if after[key] is not before[key]] == []


@pytest.mark.usefixtures("recording")
def test_every_kind_is_patched() -> None:
    """Each kind that this Python has is noted when the app draws it."""
    for draw in drawing.DRAWS.values():
        draw()
    for name, arguments in _NUMBERS.items():
        getattr(random, name)(*arguments)
    time.process_time_ns()
    time.thread_time()
    time.thread_time_ns()
    new = {f"random.{name}" for name in _NEW} | {f"uuid.{name}" for name in _NEW}
    assert set(KINDS) - set(drawn()) <= new


@pytest.mark.usefixtures("recording")
def test_the_outermost_call_is_one_draw() -> None:
    """``uuid4`` calls ``os.urandom`` and ``secrets`` calls others: each is one draw."""
    uuid.uuid4()
    secrets.token_hex()
    random.SystemRandom().choice("ab")
    date.today()
    assert drawn() == ["uuid.uuid4", "secrets.token_hex", "random.choice", "date.today"]


@pytest.mark.usefixtures("recording")
def test_conversions_are_no_draws() -> None:
    """With a time given, these functions only convert it."""
    assert time.gmtime(0).tm_year == 1970
    assert time.strftime("%Y", time.gmtime(0)) == "1970"
    assert time.ctime(0) == time.asctime(time.localtime(0))
    assert bson.ObjectId("0" * 24).binary == bytes(12)
    assert drawn() == []


@pytest.mark.usefixtures("recording")
def test_libraries_draw_for_themselves() -> None:
    """Log records, event loops, locks with a timeout and executors read live clocks, which are not noted."""
    assert logging.LogRecord("n", 1, "p", 1, "m", (), None).created > 0
    asyncio.run(asyncio.wait_for(asyncio.sleep(0), 5))
    threading.Event().wait(0.001)
    assert drawn() == []


@pytest.mark.usefixtures("recording")
def test_a_library_that_draws_for_the_app_counts() -> None:
    """A cookie's expiry date is the app's doing, though ``http.cookies`` reads the clock."""
    from http.cookies import SimpleCookie  # noqa: PLC0415 - imported while recording, as an app would

    cookie = SimpleCookie({"a": "b"})
    cookie["a"]["expires"] = 60
    cookie.output()
    assert set(drawn()) == {"time.time"}


@pytest.mark.usefixtures("recording")
def test_types_stay_what_they_are() -> None:
    """``datetime`` is the same class: for isinstance, issubclass, singledispatch, its subclasses and exact types."""

    @singledispatch
    def kind(_: object) -> str:
        return "object"

    @kind.register
    def _(_: datetime) -> str:
        return "datetime"

    value = datetime.now(UTC)
    assert type(value) is datetime is sys.modules["datetime"].datetime
    assert isinstance(value, date)
    assert issubclass(drawing.Moment, datetime)
    assert kind(value) == kind(drawing.Moment.now()) == "datetime"
    assert type(drawing.Moment.utcnow()) is drawing.Moment


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize(
    "name",
    ["time.time", "time.localtime", "os.urandom", "uuid.uuid4", "random.choice", "secrets.token_hex", "datetime.now"],
)
def test_functions_are_pickled_and_copied(name: str) -> None:
    """What could be pickled or copied still can be."""
    module, _, function = name.partition(".")
    value = getattr({"datetime": datetime}.get(module) or sys.modules[module], function)
    pickle.loads(pickle.dumps(value))
    copy(value)
    deepcopy(value)
    assert value.__name__ == function
    assert callable(value)


@pytest.mark.usefixtures("recording")
def test_values_are_pickled() -> None:
    """Moments, ids and generators survive pickling, and so does a generator's state."""
    moment, key, one = datetime.now(), bson.ObjectId(), random.Random(5)
    assert pickle.loads(pickle.dumps([moment, key])) == [moment, key]
    assert pickle.loads(pickle.dumps(one)).random() == one.random()


@pytest.mark.usefixtures("recording")
def test_a_clock_in_a_class_is_no_method() -> None:
    """A function of C that is an attribute of a class takes no self, patched or not."""
    holder = type("Holder", (), {"clock": time.perf_counter, "bytes": os.urandom})()
    assert holder.clock() > 0
    assert len(holder.bytes(3)) == 3


@pytest.mark.usefixtures("recording")
def test_seeded_generators_give_what_they_always_gave() -> None:
    """Recording neither takes from a generator's sequence nor changes the order of its numbers."""

    def sequence(one: random.Random) -> list[Any]:
        items = list(range(9))
        one.shuffle(items)
        return [
            one.random(), one.choice("abcdefg"), one.choices("abc", [1, 2, 3], k=5), one.sample(range(99), 7), items,
            one.sample("aabb", counts=[1, 2, 3, 4], k=3), one.randint(1, 6), one.getrandbits(70), one.gauss(0, 1),
        ]  # fmt: skip

    with_us = sequence(random.Random(1))
    timetracer_otel.uninstall()
    assert sequence(random.Random(1)) == with_us


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: random.choice([]), IndexError),
        (lambda: random.sample({1, 2}, 1), TypeError),  # type: ignore[arg-type] # what is tested
        (lambda: random.sample([1], 2), ValueError),
        (lambda: random.shuffle((1, 2)), TypeError),  # type: ignore[arg-type] # what is tested
        (lambda: time.time(1), TypeError),  # type: ignore[call-arg] # what is tested
        (lambda: datetime.now("UTC"), TypeError),  # type: ignore[arg-type] # what is tested
        (lambda: secrets.randbelow(0), ValueError),
        (lambda: bson.ObjectId("short"), bson.errors.InvalidId),
    ],
)
def test_wrong_calls_fail_as_ever(call: Any, error: type[Exception]) -> None:
    """The app gets the exception that it would get without us."""
    with pytest.raises(error):
        call()


@pytest.mark.usefixtures("recording")
def test_loops_accept_a_context_and_a_factory() -> None:
    """Tasks with a context of the app's, and loops with a task factory of the app's, are left alone."""
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any) -> asyncio.Task[Any]:
        made.append("task")
        return asyncio.Task(coro, loop=loop)

    async def main() -> str:
        context = contextvars.copy_context()
        await asyncio.create_task(asyncio.sleep(0), context=context)
        asyncio.get_running_loop().set_task_factory(factory)
        return await asyncio.create_task(asyncio.sleep(0, "done"), name="mine")

    assert asyncio.run(main()) == "done"
    assert made


def test_nothing_is_patched_in_mode_off() -> None:
    """Importing us changes no function."""
    assert isinstance(time.time, types.BuiltinFunctionType)
    assert type(vars(datetime)["now"]).__name__ == "classmethod_descriptor"


@pytest.mark.usefixtures("recording")
def test_finalizers_draw_for_themselves() -> None:
    """When garbage is collected is chance: what is drawn then does not count, and waits for nobody."""
    made: list[uuid.UUID] = []

    class Circle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            made.append(uuid.uuid4())

    Circle()
    gc.collect()
    assert len(made) == 1
    assert drawn() == []
