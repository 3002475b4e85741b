"""What programs do with DiskCache. Each takes a folder, and gives everything that it saw."""

from __future__ import annotations

import io
import os
import threading
import time
import uuid
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import diskcache
from diskcache import Cache, Deque, FanoutCache, Index, JSONDisk


def seen(do: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a call gives, or how it fails."""
    try:
        return do(*args, **options)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what was seen
        return type(error), str(error)


def values(cache: Any) -> list[Any]:
    """Values of every type, large ones in files, expiry, tags, counters."""
    found: list[Any] = []
    for name, value in {
        "text": "grüße",
        "number": 5,
        "float": 1.5,
        "bytes": b"\x00\xff",
        "object": {"id": uuid.uuid4(), "at": time.time(), "items": [1, None]},
        "large text": "tée " * 30_000,
        "large bytes": os.urandom(100_000),
        "large object": [uuid.uuid4().hex for _ in range(3000)],
        ("a", "tuple"): "by an object",
        7: "by a number",
        b"raw": "by bytes",
    }.items():
        found += [cache.set(name, value, expire=60, tag="all"), cache.get(name)]
    with io.BytesIO(b"streamed " * 10_000) as stream:
        found.append(cache.set("stream", stream, read=True))
    with cache.read("stream") as reader:
        found += [reader.read(20), len(reader.read()), reader.seek(3), reader.read(5), type(reader)]
    found += [
        cache.get("text", expire_time=True, tag=True)[0::2],
        cache.get("nothing"),
        cache.get("nothing", default="default"),
        cache.add("text", "again"),
        cache.add("new", "x"),
        cache.incr("counter"),
        cache.decr("counter", 5),
        seen(cache.incr, "nothing", default=None),
        cache.touch("text", expire=10),
        cache.pop("number"),
        cache.delete("number"),
        "text" in cache,
        seen(lambda: cache["nothing"]),
        cache.set("soon", 1, expire=-1),
        cache.get("soon"),
        cache.expire(),
        len(cache),
        sorted(map(str, cache)),
        cache.stats(enable=True),
        cache.get("text"),
        cache.stats(reset=True),
        cache.cull(),
        type(cache.volume()),
        cache.set("large text", "shorter"),
        cache.get("large text"),
        cache.evict("all"),
        cache.clear(),
    ]
    return found


def plain(folder: Path) -> list[Any]:
    """One cache: also transactions, a queue, iteration, a check."""
    with Cache(folder / "plain", tag_index=True) as cache:
        found = values(cache)
        with cache.transact():
            cache["total"] = cache.incr("count", 3) * 2
        found += [
            cache["total"],
            cache.push("one"),
            cache.push("two", prefix="q"),
            cache.pull(),
            cache.peek(prefix="q"),
        ]
        cache["large"] = b"x" * 50_000
        found += [list(cache.iterkeys()), list(cache.iterkeys(reverse=True)), cache.peekitem()]
        (folder / "plain" / "stray").mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            found.append(len(cache.check()))
        found.append(seen(failing, cache))
    return found


def failing(cache: Cache) -> None:
    """Give a transaction up."""
    with cache.transact():
        cache["total"] = 0
        raise ValueError("no")


def fanout(folder: Path) -> list[Any]:
    """A cache in shards, with a deque, an index and a cache of its own."""
    with FanoutCache(folder / "fanout", shards=3) as cache:
        found = values(cache)
        found += [cache.deque("d").append(1), cache.index("i").setdefault("a", 2), cache.cache("c").set("a", 3)]
        return found


def memoized(folder: Path) -> list[Any]:
    """Functions whose results are kept, and what locks them."""
    cache = Cache(folder / "memoized")
    calls: list[int] = []

    @cache.memoize(expire=60, tag="squares")
    def square(number: int) -> int:
        calls.append(number)
        return number * number

    @diskcache.memoize_stampede(cache, expire=60)
    def cube(number: int) -> int:
        return number**3

    @diskcache.throttle(cache, 1000, 1, time_func=lambda: time.time())  # noqa: PLW0108 - the clock as it is then
    def throttled() -> str:
        return "done"

    with diskcache.Lock(cache, "lock"), diskcache.RLock(cache, "again"):
        found = [square(3), square(3), square(4), cube(2), cube(2), throttled(), diskcache.Averager(cache, "a").get()]
    return [*found, calls]


def collections(folder: Path) -> list[Any]:
    """A deque and an index, in folders that go when they do."""
    deque = Deque([1, "two", {"three": 3}], directory=folder / "deque", maxlen=5)
    deque.extendleft("ab")
    deque.rotate(1)
    index = Index(str(folder / "index"), {"a": 1}, b=[2])
    return [
        list(deque), deque.popleft(), deque.pop(), deque.count("two"), seen(deque.index, "x"), len(deque),
        dict(index), index.pop("a"), index.popitem(), seen(index.popitem), index.push("x"), list(index.items()),
    ]  # fmt: skip


def as_json(folder: Path) -> list[Any]:
    """Values as compressed JSON."""
    with Cache(folder / "json", disk=JSONDisk, disk_compress_level=6) as cache:
        return [cache.set("a", {"b": [1, None]}), cache.get("a"), cache.set("l", "x" * 10**6), len(cache.get("l"))]


def threads(folder: Path) -> list[Any]:
    """Threads that share a cache, each with a connection of its own."""
    cache = Cache(folder / "threads")
    start = threading.Barrier(4)

    def work(number: int) -> Any:
        if number < 4:
            start.wait(60)
        return cache.set(number, number * 10, retry=True), cache.get(number, retry=True)

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(work, range(12)))


def locks(folder: Path) -> list[Any]:
    """Locks that are held by a thread of a process, and more than once; each thread counts under them."""
    cache = Cache(folder / "locks")
    lock, again = diskcache.RLock(cache, "lock"), diskcache.RLock(cache, "again")
    again.acquire()
    with again:
        found = [cache.get("again")]
    again.release()
    found.append(seen(again.release))
    two = diskcache.BoundedSemaphore(cache, "two", value=2)

    def work(_: int) -> int:
        with two, lock, lock:
            cache["count"] = cache.get("count", 0) + 1
            return int(cache["count"])

    with ThreadPoolExecutor(3) as pool:
        found.append(sorted(pool.map(work, range(5))))

    @diskcache.barrier(cache, diskcache.RLock)
    def alone(number: int) -> int:
        return number + 1

    return [*found, alone(1)]


SCENARIOS = {one.__name__: one for one in (plain, fanout, memoized, collections, as_json, locks, threads)}
