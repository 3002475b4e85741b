"""What programs do with pymemcache. Each takes a port, and gives everything that it saw."""

from __future__ import annotations

import json
import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pymemcache import serde
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.client.retrying import RetryingClient

from tests.memcached.seeing import seen


def values(client: Any) -> list[Any]:
    """Commands of all kinds, and errors."""
    found = [
        seen(client.set, "text", "hello"),
        seen(client.get, "text"),
        seen(client.get, "nothing"),
        seen(client.get, "nothing", "default"),
        seen(client.set, "loud", "x", noreply=False),
        seen(client.set, "expires", "soon", expire=int(time.time()) + 100),
        seen(client.set, "id", uuid.uuid4().hex, expire=60),
        seen(client.get, "id"),
        seen(client.add, "text", "again", noreply=False),
        seen(client.replace, "nothing", "x", noreply=False),
        seen(client.append, "text", ", you", noreply=False),
        seen(client.prepend, "text", "oh ", noreply=False),
        seen(client.get, "text"),
        seen(client.set, "binary", os.urandom(300)),
        seen(client.get, "binary"),
        seen(client.set, "empty", b""),
        seen(client.get, "empty"),
        seen(client.set, "lines", b"END\r\nVALUE x 0 3\r\n"),
        seen(client.get, "lines"),
        seen(client.set, "number", "5", noreply=False),
        seen(client.incr, "number", 3),
        seen(client.decr, "number", 100),
        seen(client.incr, "nothing", 1),
        seen(client.incr, "text", 1),
        seen(client.set_many, {"a": 1, "b": 2, "c": b"3"}),
        seen(client.set_many, {"a": 1, "b": 2}, noreply=False),
        seen(client.get_many, ["a", "b", "nothing"]),
        seen(client.get_many, []),
        seen(client.touch, "a", 100, noreply=False),
        seen(client.touch, "nothing", 100, noreply=False),
        seen(client.delete, "a", noreply=False),
        seen(client.delete, "a", noreply=False),
        seen(client.delete_many, ["b", "c"]),
        seen(client.get_many, ["a", "b", "c"]),
        seen(client.set, "large", b"x" * 1_000_000, noreply=False),
        seen(client.get, "large"),
        seen(client.set, "too large", b"x", noreply=False),
        seen(client.set, "larger", b"x" * 2_000_000, noreply=False),
        seen(client.get, "text"),
        seen(client.set, "grüße", "x"),
    ]
    value, cas = seen(client.gets, "number")
    found += [
        value,
        cas,
        seen(client.cas, "number", "6", cas, noreply=False),
        seen(client.cas, "number", "7", cas, noreply=False),
        seen(client.cas, "nothing", "7", cas, noreply=False),
        seen(client.gets_many, ["number", "nothing"]),
        seen(client.flush_all, noreply=False),
        seen(client.get, "text"),
    ]
    return found


def plain(port: int) -> list[Any]:
    """One connection."""
    client = Client(("127.0.0.1", port))
    found = [*values(client), seen(client.version), type(seen(client.stats)), sorted(client.stats("settings"))[:5]]
    client["item"] = "x"
    found.append(client["item"])
    del client["item"]
    found.append(seen(lambda: client["item"]))
    found += [seen(client.raw_command, "mn"), seen(client.raw_command, "no-such-command"), seen(client.quit)]
    return [*found, client.get("text"), client.close()]


def pooled(port: int) -> list[Any]:
    """A pool that threads share."""
    client = PooledClient(("127.0.0.1", port), max_pool_size=4, timeout=30, ignore_exc=True)
    found = values(client)
    for number in range(8):
        client.set(f"counter {number}".replace(" ", "-"), "0", noreply=False)

    def count(number: int) -> list[Any]:
        return [client.incr(f"counter-{number % 8}", 1) for _ in range(5)]

    with ThreadPoolExecutor(4) as pool:
        found += pool.map(count, range(8))
    return found


def hashing(port: int) -> list[Any]:
    """A client that chooses among servers."""
    client = HashClient([("127.0.0.1", port)], use_pooling=True, timeout=30)
    return [*values(client), client.close()]


def retrying(port: int) -> list[Any]:
    """A client that tries again, with objects as values and a prefix."""
    base = Client(("127.0.0.1", port), serde=serde.pickle_serde, key_prefix="shop:", default_noreply=False)
    client = RetryingClient(base, attempts=2, retry_delay=0.01)
    basket = {"id": uuid.uuid4(), "items": ["tea", 2], "at": time.time()}
    return [seen(client.set, "basket", basket), seen(client.get, "basket"), *values(client)]


class Json:
    """Values as JSON."""

    def serialize(self, _key: Any, value: Any) -> tuple[bytes, int]:
        """Give bytes and flags."""
        return (value.encode(), 1) if isinstance(value, str) else (json.dumps(value).encode(), 2)

    def deserialize(self, _key: Any, value: bytes, flags: int) -> Any:
        """Give the value again; of flags that are not known it cannot."""
        if flags == 1:
            return value.decode()
        if flags == 2:
            return json.loads(value)
        raise ValueError("unknown flags")


def serialized(port: int) -> list[Any]:
    """Values by the app's own rules, keys in Unicode; one that cannot be read ends the connection."""
    client = Client(("127.0.0.1", port), serde=Json(), allow_unicode_keys=True, encoding="utf-8")
    found = [
        seen(client.set, "grüße", {"tee": ["grün", 1.5, None]}),
        seen(client.get, "grüße"),
        seen(client.set, "odd", "x", flags=7),
        seen(client.get_many, ["odd", "grüße"]),
        seen(client.get, "grüße"),
    ]
    compressed = Client(("127.0.0.1", port), serde=serde.CompressedSerde(min_compress_len=10))
    return [*found, seen(compressed.set, "long", "tea " * 500), seen(compressed.get, "long")]


PLAIN = {scenario.__name__: scenario for scenario in (plain, pooled, hashing, retrying, serialized)}
