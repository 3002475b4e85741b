"""What a request starts belongs to its lane: threads, tasks, work for pools, greenlets; pools belong to nobody."""

from __future__ import annotations

import _thread
import asyncio
import contextvars
import itertools
import queue
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from typing import Any, TypeAlias

import aiosqlite
import anyio
import anyio.to_thread
import gevent
import gevent.pool
import gevent.queue
import gevent.threadpool
import pytest
import uvloop
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from starlette.concurrency import run_in_threadpool

from tests.entries.doubles import NotedLane, NotingRuntime
from timetracer_otel import seams
from timetracer_otel.families.kinds.http import Request
from timetracer_otel.seams import carrying, lanes
from timetracer_otel.seams.branches import branch_in, current_lane, here

Work: TypeAlias = Callable[[], Any]
Loop: TypeAlias = asyncio.AbstractEventLoop
Way: TypeAlias = Callable[[Work], Any]
"""Does a piece of work elsewhere; gives its result."""


class Pools:
    """Pools that were made before any request."""

    def __init__(self) -> None:
        self.executor = ThreadPoolExecutor(2)
        self.threads = ThreadPool(2)


@pytest.fixture(scope="module")
def pools() -> Iterator[Pools]:
    """Pools of the whole module, as an app makes them when it is imported."""
    made = Pools()
    yield made
    made.executor.shutdown()
    made.threads.terminate()
    made.threads.join()


@pytest.fixture(params=["instrumented", "plain"])
def runtime(request: pytest.FixtureRequest) -> Iterator[NotingRuntime]:
    """A runtime in force, with OpenTelemetry's instrumentor for threads and without it."""
    made = NotingRuntime()
    seams.set_active(made)
    carrying.install()
    if request.param == "instrumented":
        ThreadingInstrumentor().instrument()
    yield made
    if request.param == "instrumented":
        ThreadingInstrumentor().uninstrument()
    carrying.uninstall()
    seams.set_active(None)


def opened(runtime: NotingRuntime) -> NotedLane:
    """A lane of its own."""
    lane = runtime.open_lane(Request("GET", "/", []))
    assert isinstance(lane, NotedLane)
    return lane


def result_of(start: Callable[[Work], Any], work: Work) -> Any:
    """Let something be started that runs work once; give its result."""
    future: Future[Any] = Future()
    start(lambda: future.set_result(work()))
    return future.result(10)


class _Own(threading.Thread):
    """A thread with a ``run`` of its own."""

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work

    def run(self) -> None:
        self.work()


def by_executor_of_its_own(work: Work) -> Any:
    """An executor as a handler makes one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def called_back_by_executor(pool: ThreadPoolExecutor, work: Work) -> Any:
    """Work that waits for a future."""
    begin = threading.Event()

    def start(work: Work) -> None:
        pool.submit(begin.wait).add_done_callback(lambda _: work())
        begin.set()

    return result_of(start, work)


async def in_task_group(work: Work) -> Any:
    """A task of anyio's."""
    found: list[Any] = []

    async def add() -> None:
        await asyncio.sleep(0)
        found.append(work())

    async with anyio.create_task_group() as group:
        group.start_soon(add)
    return found[0]


async def in_task(work: Work) -> Any:
    """A task."""

    async def do() -> Any:
        await asyncio.sleep(0)
        return work()

    return (await asyncio.gather(do()))[0]


async def by_connection(work: Work) -> Any:
    """The thread of a connection to SQLite, that did something before."""
    async with aiosqlite.connect(":memory:") as connection:
        await connection.create_function("work", 0, lambda: found.append(work()))
        found: list[Any] = []
        await connection.execute("SELECT work()")
        return found[0]


async def in_default_executor(work: Work) -> Any:
    """The loop's executor."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


def under(run: Callable[[Any], Any], do: Callable[[Work], Any]) -> Way:
    """A way that needs a loop."""
    return lambda work: run(do(work))


ASYNC: dict[str, Callable[[Work], Any]] = {
    "task": in_task,
    "task group": in_task_group,
    "to_thread": asyncio.to_thread,
    "default executor": in_default_executor,
    "anyio thread": anyio.to_thread.run_sync,
    "aiosqlite": by_connection,
    "starlette thread": run_in_threadpool,
}
LOOPS = {"asyncio": asyncio.run, "uvloop": uvloop.run}
CREATING = [("asyncio", False), ("uvloop", False), *([("asyncio", True)] if sys.version_info >= (3, 12) else [])]
"""Loops, and whether their tasks begin when they are made; uvloop cannot do that by the factory of every Python."""
WAYS: dict[str, Callable[[Pools], Way]] = {
    "thread": lambda _: lambda work: result_of(lambda do: threading.Thread(target=do).start(), work),
    "subclass": lambda _: lambda work: result_of(lambda do: _Own(do).start(), work),
    "timer": lambda _: lambda work: result_of(lambda do: threading.Timer(0.001, do).start(), work),
    "raw thread": lambda _: lambda work: result_of(lambda do: _thread.start_new_thread(do, ()), work),
    "executor": lambda pools: lambda work: pools.executor.submit(work).result(),
    "new executor": lambda _: by_executor_of_its_own,
    "map": lambda pools: lambda work: next(iter(pools.executor.map(lambda _: work(), [1]))),
    "called back": lambda pools: lambda work: called_back_by_executor(pools.executor, work),
    "pool": lambda pools: pools.threads.apply,
    "pool, called back": lambda pools: (
        lambda work: result_of(lambda do: pools.threads.apply_async(int, callback=lambda _: do()), work)
    ),
    "pool map": lambda pools: lambda work: pools.threads.map(lambda _: work(), [1, 2])[1],
    "pool starmap": lambda pools: lambda work: pools.threads.starmap(lambda _a, _b: work(), [(1, 2)])[0],
    "pool imap": lambda pools: lambda work: next(pools.threads.imap(lambda _: work(), [1])),
    "pool imap, chunks": lambda pools: lambda work: list(pools.threads.imap(lambda _: work(), [1, 2, 3], 2))[2],
    "pool imap, items": lambda pools: lambda work: next(pools.threads.imap(lambda item: item, (work() for _ in "a"))),
    "pool imap, any order": lambda pools: lambda work: next(pools.threads.imap_unordered(lambda _: work(), [1])),
    "greenlet": lambda _: lambda work: gevent.spawn(work).get(),
    "later greenlet": lambda _: lambda work: gevent.spawn_later(0.001, work).get(),
    "greenlet of a pool": lambda _: lambda work: gevent.pool.Pool(2).map(lambda _: work(), [1, 2])[1],
    "thread of gevent": lambda _: gevent.get_hub().threadpool.apply,
    **{
        f"{name}, {loop}": lambda _, run=run, do=do: under(run, do)  # type: ignore[misc] # defaults bind the loop's names
        for name, do in ASYNC.items()
        for loop, run in LOOPS.items()
    },
}


@pytest.mark.parametrize("name", WAYS)
def test_work_belongs_to_whoever_hands_it_over(runtime: NotingRuntime, pools: Pools, name: str) -> None:
    """Two requests and the session use the same pools by turns: each piece is that one's, with and without spans."""
    way = WAYS[name](pools)
    first, second = opened(runtime), opened(runtime)
    found = []
    for lane in (first, second, None, first):
        if lane is None:
            found.append(way(current_lane))
        else:
            with lane.entered():
                found.append(way(current_lane))
    assert found == [first, second, runtime.session(), first]


@pytest.mark.parametrize("name", WAYS)
def test_nothing_is_left_behind(pools: Pools, name: str) -> None:
    """Without a runtime everything is as it was, and works."""
    assert WAYS[name](pools)(lambda: (current_lane(), here())) == (None, None)


def test_names_are_the_very_objects_that_they_were() -> None:
    """What is patched is put back."""
    before = (
        vars(threading.Thread)["start"], vars(threading.Thread)["run"], _thread.start_new_thread,
        vars(asyncio.BaseEventLoop)["create_task"], vars(queue.Queue)["get"], vars(asyncio.Queue)["get"],
        vars(queue.SimpleQueue)["get"],
    )  # fmt: skip
    inherited = set(vars(ThreadPool)), set(vars(uvloop.Loop))
    carrying.install()
    carrying.uninstall()
    assert before == (
        vars(threading.Thread)["start"], vars(threading.Thread)["run"], _thread.start_new_thread,
        vars(asyncio.BaseEventLoop)["create_task"], vars(queue.Queue)["get"], vars(asyncio.Queue)["get"],
        vars(queue.SimpleQueue)["get"],
    )  # fmt: skip
    assert inherited == (set(vars(ThreadPool)), set(vars(uvloop.Loop)))


def test_a_thread_keeps_its_own_run(runtime: NotingRuntime) -> None:
    """A ``run`` that the app has set on the instance runs, and is there again; a start that fails changes nothing."""
    seen: list[Any] = []
    thread = threading.Thread()
    thread.run = lambda: seen.append("run" in vars(thread))  # type: ignore[method-assign]
    own = thread.run
    with opened(runtime).entered():
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError):
            thread.start()
    assert seen == [True]
    assert thread.run is own


@pytest.mark.parametrize("kind", [queue.Queue, queue.SimpleQueue, queue.PriorityQueue])
def test_a_worker_works_for_whoever_has_put_the_work_in(
    runtime: NotingRuntime, kind: Callable[[], queue.Queue[Any]]
) -> None:
    """Whichever request has started it, and while several run: work of nobody's is the session's."""
    asked, number = kind(), itertools.count()

    def work() -> None:
        while (future := asked.get()[1]) is not None:
            future.set_result((current_lane(), where()))

    def where() -> str:
        lane = current_lane()
        return "" if lane is None else branch_in(lane, here())

    def ask() -> Any:
        future: Future[Any] = Future()
        asked.put((next(number), future))
        return future.result(10)

    first, second = opened(runtime), opened(runtime)
    thread = threading.Thread(target=work, daemon=True)
    with first.entered():
        thread.start()
        places = [ask()]
        with second.entered():
            places.append(ask())
        places.append(ask())
        assert current_lane() is first
    first.end_code()
    with second.entered():
        places.append(ask())
    assert places == [(first, "0"), (second, "0"), (first, "1"), (second, "1")]
    assert ask()[0] is runtime.session()
    asked.put((next(number), None))
    thread.join(10)


def test_what_is_lent_is_no_work(runtime: NotingRuntime) -> None:
    """A worker that takes a thing from a pool, which others have used, works on for the one it worked for."""

    class Model:
        pass

    asked: queue.Queue[Future[Any]] = queue.Queue()
    pool: queue.Queue[Any] = queue.Queue()
    connections: queue.Queue[socket.socket] = queue.Queue()
    pool.put(Model())
    first, second = opened(runtime), opened(runtime)

    def work() -> None:
        while True:
            future = asked.get()
            model, connection = pool.get(), connections.get()
            pool.put(model)
            connections.put(connection)
            future.set_result(current_lane())

    threading.Thread(target=work, daemon=True).start()
    with socket.socket() as made, first.entered():
        connections.put(made)
        for lane in (first, second, first):
            with lane.entered():
                pool.put(pool.get())
                future: Future[Any] = Future()
                asked.put(future)
                assert future.result(10) is lane
                assert current_lane() is lane


def test_a_queue_that_the_app_changes_itself_keeps_its_items(runtime: NotingRuntime) -> None:
    """It is the app's own: nothing of ours is in it, and what is known of items is forgotten where they went astray."""
    asked: queue.Queue[Any] = queue.Queue()
    found: list[Any] = []
    with opened(runtime).entered():
        asked.put("astray")
        asked.put("first")
        assert list(asked.queue) == ["astray", "first"]
        asked.queue.popleft()
        asked.put(None)

    def work() -> None:
        while asked.get() is not None:
            found.append(current_lane())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert found == [runtime.session()]


async def test_a_connection_is_of_whoever_uses_it(runtime: NotingRuntime) -> None:
    """What a request does with a connection that another one has opened, as a pool hands it on, is its own."""
    first, second = opened(runtime), opened(runtime)
    found: list[Any] = []
    with first.entered():
        connection = await aiosqlite.connect(":memory:")
        await connection.create_function("work", 0, lambda: found.append(current_lane()))
    first.end_code()
    with second.entered():
        await connection.execute("SELECT work()")
        cursor = await connection.execute("SELECT 1")
        await connection.create_function("adapted", 0, lambda: found.append(current_lane()))
        await cursor.execute("SELECT adapted()")
        await cursor.fetchall()
    await connection.close()
    assert found == [second, second]


def test_what_is_taken_further_in_is_no_work(runtime: NotingRuntime) -> None:
    """A request's thread goes on for it, when a client that it calls takes what another one has put somewhere."""
    pool: queue.Queue[Any] = queue.Queue()
    first, second, found = opened(runtime), opened(runtime), list[Any]()

    def checked_out() -> Any:
        return pool.get()

    def client() -> Any:
        return checked_out()

    def service() -> Any:
        return client()

    def handle() -> None:
        service()
        found.append(current_lane())

    with first.entered():
        pool.put(object())
    with second.entered():
        thread = threading.Thread(target=handle)
        thread.start()
    thread.join(10)
    assert found == [second]


class Jobs(gevent.queue.Queue):  # type: ignore[misc]  # gevent says no types
    """A queue of the app's own."""


@pytest.mark.parametrize("kind", [gevent.queue.SimpleQueue, gevent.queue.Queue, gevent.queue.PriorityQueue, Jobs])
@pytest.mark.parametrize("is_blocking", [True, False])
def test_so_does_a_greenlet(runtime: NotingRuntime, kind: Callable[[int], Any], is_blocking: bool) -> None:  # noqa: FBT001
    """Also where the queue was full, and those that put something in had to wait."""
    asked, number, found = kind(2), itertools.count(), dict[str, Any]()

    def work() -> None:
        while True:
            name = asked.get()[1] if is_blocking else (asked.peek(), asked.get_nowait())[1][1]
            gevent.sleep(0)
            found[name] = current_lane()

    def ask(lane: NotedLane, name: str) -> None:
        with lane.entered():
            for turn in range(4):
                while not is_blocking and asked.full():
                    gevent.sleep(0)
                (asked.put if is_blocking else asked.put_nowait)((next(number), f"{name}{turn}"))

    first, second = opened(runtime), opened(runtime)
    with first.entered():
        workers = [gevent.spawn(work) for _ in range(2)]
    with gevent.Timeout(10):
        gevent.joinall([gevent.spawn(ask, first, "a"), gevent.spawn(ask, second, "b")], raise_error=True)
        while len(found) < 8:
            gevent.sleep(0)
    gevent.killall(workers)
    assert found == {f"{name}{turn}": lane for name, lane in (("a", first), ("b", second)) for turn in range(4)}


def test_a_stack_of_greenlets_hands_out_what_is_lent(runtime: NotingRuntime) -> None:
    """Pools of connections are such stacks."""
    pool: Any = gevent.queue.LifoQueue()
    first, second, found = opened(runtime), opened(runtime), list[Any]()

    def use() -> None:
        pool.get()
        found.append(current_lane())

    with first.entered():
        pool.put(object())
    with second.entered():
        gevent.spawn(use).join()
    assert found == [second]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_so_does_a_task(runtime: NotingRuntime, loop: str) -> None:
    """Also when several take from one queue; a request's own code goes on in its own lane."""

    async def serve() -> None:
        asked: asyncio.Queue[asyncio.Future[Any]] = asyncio.Queue()

        async def work() -> None:
            while True:
                future = await asked.get()
                await asyncio.sleep(0)
                future.set_result(current_lane())

        async def ask(lane: NotedLane) -> None:
            answers: asyncio.Queue[Any] = asyncio.Queue()
            with lane.entered():
                for _ in range(3):
                    future = asyncio.get_running_loop().create_future()
                    await asked.put(future)
                    assert await future is lane
                    answers.put_nowait(None)
                    await answers.get()
                    assert current_lane() is lane

        first = opened(runtime)
        with first.entered():
            tasks = [asyncio.create_task(work()) for _ in range(2)]
        await asyncio.gather(*(ask(lane) for lane in (first, opened(runtime), opened(runtime))))
        first.end_code()
        future = asyncio.get_running_loop().create_future()
        await asked.put(future)
        assert await future is runtime.session()
        for task in tasks:
            task.cancel()

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None)
    with runner:
        runner.run(serve())


def test_late_work_is_the_lanes_for_a_while(runtime: NotingRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request leaves running belongs to it behind its end, but not for ever; work that waited begins anew."""
    now = [1000.0]
    monkeypatch.setattr(lanes, "_monotonic", lambda: now[0])
    goes_on, ended = threading.Event(), threading.Event()
    lane, found = opened(runtime), list[Any]()

    def work() -> None:
        goes_on.wait(10)
        found.append(current_lane())
        now[0] += lanes.LATE_SECONDS
        found.append(current_lane())
        ended.set()

    with lane.entered(), ThreadPoolExecutor(1) as pool:
        threading.Thread(target=work).start()
        lane.end_code()
        now[0] += 5
        goes_on.set()
        ended.wait(10)
        waited = pool.submit(current_lane)
        assert waited.result() is not None
    assert found == [lane, runtime.session()]


@pytest.mark.parametrize(("loop", "eager"), CREATING)
def test_tasks_have_places_by_their_creation(runtime: NotingRuntime, loop: str, eager: bool) -> None:  # noqa: FBT001 - a parameter
    """Siblings are told apart in the order in which they are made, whoever makes them, and however they run."""
    lane = opened(runtime)

    async def place(number: int) -> str:
        await asyncio.sleep(0.001 * (7 * number % 5))
        return branch_in(lane, here())

    async def in_own_context(number: int) -> str:
        return await asyncio.get_running_loop().create_task(place(number), context=contextvars.copy_context())

    async def main() -> list[list[str]]:
        if eager:
            asyncio.get_running_loop().set_task_factory(vars(asyncio)["eager_task_factory"])
        gathered = await asyncio.gather(*map(place, range(5)))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(place(number)) for number in range(5)]
        grouped = [task.result() for task in tasks]
        found: dict[int, str] = {}

        async def note(number: int) -> None:
            found[number] = await place(number)

        async with anyio.create_task_group() as anyios:
            for number in range(5):
                anyios.start_soon(note, number)
        contexts = [
            asyncio.get_running_loop().create_task(in_own_context(number), context=contextvars.copy_context())
            for number in range(3)
        ]
        completed = {await one for one in asyncio.as_completed([place(number) for number in range(5)])}
        by_number = [found[number] for number in range(5)]
        return [gathered, grouped, by_number, await asyncio.gather(*contexts), sorted(completed)]

    with lane.entered():
        runs = [LOOPS[loop](main()) for _ in range(2)]
    for gathered, grouped, anyios, contexts, completed in runs:
        for found in (gathered, grouped, anyios, contexts, completed):
            assert len(set(found)) == len(found)
    # The second run's main task is the second child of the lane.
    assert [[place.replace("1", "0", 1) for place in part] for part in runs[1]] == runs[0]


@pytest.mark.parametrize("loop", LOOPS)
def test_awaitables_start_in_the_order_in_which_they_are_given(runtime: NotingRuntime, loop: str) -> None:
    """Python starts those of ``as_completed`` by their addresses, in another order in each run."""
    lane, started = opened(runtime), []

    async def work(number: int) -> int:
        started.append(number)
        return number

    async def main() -> None:
        several = [work(number) for number in range(50)]
        later = asyncio.ensure_future(work(50))
        done = [await one for one in asyncio.as_completed([*several, several[0], later])]
        assert sorted(done) == list(range(51))  # each once, as ever

    with lane.entered():
        LOOPS[loop](main())
    assert [number for number in started if number != 50] == list(range(50))
    with pytest.raises(TypeError, match="an iterable"):
        list(asyncio.as_completed(asyncio.Future(loop=asyncio.new_event_loop())))


@pytest.mark.parametrize("loop", LOOPS)
def test_what_is_waited_for_is_of_the_same_flow(runtime: NotingRuntime, loop: str) -> None:
    """``wait_for`` makes a task of a coroutine before Python 3.12: what runs in it has its caller's place."""
    lane = opened(runtime)

    async def place() -> str:
        return branch_in(lane, here())

    async def places() -> list[str]:
        first = await asyncio.wait_for(place(), 60)
        beside = await asyncio.create_task(asyncio.wait_for(place(), 60))
        return [first, beside, await asyncio.create_task(place())]

    with lane.entered():
        first, beside, task = LOOPS[loop](places())
    assert (beside, task) == (f"{first}.0", f"{first}.0")  # each the first of its function


def test_work_in_a_copied_context_has_a_place_of_its_own(runtime: NotingRuntime, pools: Pools) -> None:
    """``submit(copy_context().run, work)``, as people carry their context variables."""
    lane = opened(runtime)

    def place() -> str:
        return branch_in(lane, here())

    with lane.entered():
        futures = [pools.executor.submit(contextvars.copy_context().run, place) for _ in range(3)]
        items = pools.threads.map(lambda _: place(), range(6))
    assert [future.result() for future in futures] == ["0", "1", "2"]
    assert items == ["0.0", "0.1", "0.2", "0.3", "0.4", "0.5"]
