"""What programs do with libraries that stand on redis-py. Each takes a port, and gives everything that it saw."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import aiocache
import limits
from aiocache.serializers import PickleSerializer
from flask import Flask
from flask_caching import Cache
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

__all__ = ["LIBRARIES"]


def flask_caching(port: int) -> list[Any]:
    """Views and functions whose results are kept."""
    app = Flask(__name__)
    cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_PORT": port, "CACHE_KEY_PREFIX": "shop:"})

    @app.get("/page")
    @cache.cached(timeout=50)
    def page() -> str:
        return uuid.uuid4().hex

    @cache.memoize(timeout=50)
    def made(name: str) -> dict[str, Any]:
        return {"name": name, "id": uuid.uuid4(), "at": time.time()}

    client = app.test_client()
    with app.app_context():
        found: list[Any] = [client.get("/page").text, client.get("/page").text, made("tea"), made("tea"), made("milk")]
        cache.delete_memoized(made, "tea")
        found += [made("tea"), cache.set("a", [1, None]), cache.get("a"), cache.get_many("a", "b"), cache.add("a", 2)]
        return [*found, cache.set_many({"b": 1, "c": 2}), cache.delete("a"), cache.has("a"), cache.clear()]


def rate_limits(port: int) -> list[Any]:
    """Windows that are counted by scripts."""
    storage = limits.storage.RedisStorage(f"redis://127.0.0.1:{port}")
    fixed, moving = FixedWindowRateLimiter(storage), MovingWindowRateLimiter(storage)
    three = limits.parse("3/minute")
    found: list[Any] = [fixed.hit(three, "ada") for _ in range(5)] + [moving.hit(three, "bob") for _ in range(5)]
    found += [tuple(fixed.get_window_stats(three, "ada")), tuple(moving.get_window_stats(three, "bob"))]
    return [*found, fixed.test(three, "ada"), storage.check(), storage.reset()]


async def _aiocache(port: int) -> list[Any]:
    cache = aiocache.RedisCache(endpoint="127.0.0.1", port=port, namespace="ns:", serializer=PickleSerializer())
    basket = {"id": uuid.uuid4(), "items": ["tea", 2]}
    found = [await cache.set("basket", basket, ttl=60), await cache.get("basket"), await cache.get("nothing", 5)]
    found += [await cache.multi_set([("a", 1), ("b", 2)]), await cache.multi_get(["a", "b", "c"])]
    found += [
        await cache.add("new", 1),
        await cache.exists("new"),
        await cache.delete("new"),
        await cache.expire("a", 9),
    ]
    async with aiocache.lock.RedLock(cache, "lock", lease=2):
        found.append(await cache.get("a"))
    found.append(await cache.clear(namespace="ns:"))
    await cache.close()
    return found


def of_asyncio(port: int) -> list[Any]:
    """A cache of asyncio, with a lock."""
    return asyncio.run(_aiocache(port))


LIBRARIES: dict[str, Callable[[int], list[Any]]] = {
    "Flask-Caching": flask_caching,
    "limits": rate_limits,
    "aiocache": of_asyncio,
}
