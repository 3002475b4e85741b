"""Entries that the app's own loop takes: a lane is taken up and laid down where no block goes around the app's code."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from tests.entries.doubles import NotedLane, NotingRuntime, here
from timetracer_otel import seams
from timetracer_otel.families.kinds.task import Outcome, Task
from timetracer_otel.seams import carrying


class Consumer:
    """A consumer that makes each message a lane, which ends when the next one is asked for."""

    def __init__(self, runtime: NotingRuntime, messages: list[str]) -> None:
        self._runtime = runtime
        self._messages = messages
        self._lane: seams.Lane | None = None

    def poll(self) -> str | None:
        """Give the next message."""
        if self._lane is not None:
            assert isinstance(self._lane.entry, Task)
            self._lane.entry.outcome = Outcome("ACK")
            self._lane.lay_down()
            self._lane.end_code()
            self._lane.finish(None)
            self._lane = None
        if not self._messages:
            return None
        message = self._messages.pop(0)
        self._lane = self._runtime.open_lane(Task(message, message, [], "made up"))
        assert self._lane is not None
        self._lane.take_up()
        return message


@pytest.fixture
def runtime() -> NotingRuntime:
    """A runtime that notes its lanes."""
    return NotingRuntime()


def test_each_message_is_a_lane(runtime: NotingRuntime) -> None:
    """What the loop does between two polls is the message's; nothing is before the first and behind the last."""
    consumer, seen = Consumer(runtime, ["a", "b"]), []
    assert here() is None
    while consumer.poll() is not None:
        seen.append(here())
    assert here() is None
    assert seen == [lane.id for lane in runtime.lanes]
    assert len(set(seen)) == 2
    assert all(len(lane.ends) == 1 for lane in runtime.lanes)


def test_a_span_of_the_loop_does_not_keep_the_lane(runtime: NotingRuntime) -> None:
    """An instrumentor's span that is entered and left while a message is handled takes nothing along."""
    consumer, tracer = Consumer(runtime, ["a"]), TracerProvider().get_tracer("test")
    consumer.poll()
    with tracer.start_as_current_span("work"):
        assert here() == runtime.lane.id
    consumer.poll()
    assert here() is None


def test_a_lane_is_laid_down_in_another_context(runtime: NotingRuntime) -> None:
    """The loop may go on in a copy of its context; another lane that is current there stays so."""
    first, second = (NotedLane(runtime, Task(name, name, [], "made up")) for name in ("a", "b"))
    first.take_up()

    def elsewhere() -> tuple[str | None, str | None]:
        second.take_up()
        first.lay_down()
        before = here()
        second.lay_down()
        return before, here()

    assert contextvars.copy_context().run(elsewhere) == (second.id, None)
    assert here() == first.id
    first.lay_down()
    assert here() is None


@pytest.fixture
def _carried() -> Iterator[None]:
    """Lanes reach what the app starts."""
    carrying.install()
    yield
    carrying.uninstall()


@pytest.mark.usefixtures("_carried")
def test_a_message_that_is_waited_for(runtime: NotingRuntime) -> None:
    """``wait_for`` asks in a task until Python 3.12: the lane is that of who waits, and of nobody behind the last."""

    async def asks(consumer: Consumer) -> str | None:
        await asyncio.sleep(0)
        return consumer.poll()

    async def loop() -> list[str | None]:
        consumer, seen = Consumer(runtime, ["a", "b"]), list[str | None]()
        while await asyncio.wait_for(asks(consumer), 60) is not None:
            seen.append(here())
        return [*seen, here()]

    seen = asyncio.run(loop())
    assert seen == [*(lane.id for lane in runtime.lanes), None]


@pytest.mark.usefixtures("_carried")
def test_who_waits_in_another_lane_stays_in_it(runtime: NotingRuntime) -> None:
    """A request that asks a consumer whose message was not its own."""

    async def asks(consumer: Consumer) -> str | None:
        return consumer.poll()

    async def loop() -> str | None:
        consumer = Consumer(runtime, ["a"])
        await asyncio.create_task(asks(consumer))
        request = runtime.open_lane(Task("request", "request", [], "made up"))
        assert request is not None
        with request.entered():
            await asyncio.wait_for(asks(consumer), 60)
            return here()

    assert asyncio.run(loop()) == runtime.lanes[-1].id
