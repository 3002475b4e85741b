"""One way to write a test for MongoClient, AsyncMongoClient and Motor."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["DRIVERS", "Driver", "drive"]


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits: what is written for all drivers, with the synchronous one."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the synchronous driver made something wait")


@dataclass(frozen=True)
class Driver:
    """A driver: how to make its client and its GridFS bucket."""

    name: str
    client: Callable[..., Any]
    bucket: Callable[..., Any]

    @staticmethod
    async def get(value: Any) -> Any:
        """Wait for what must be waited for."""
        return await value if inspect.isawaitable(value) else value

    @classmethod
    async def items(cls, cursor: Any, limit: int = 1 << 30) -> list[Any]:
        """Read a cursor, to its end or so many documents."""
        found: list[Any] = []
        cursor = await cls.get(cursor)
        if hasattr(cursor, "__aiter__"):
            async for item in cursor:
                found.append(item)
                if len(found) == limit:
                    break
        else:
            for item in cursor:
                found.append(item)
                if len(found) == limit:
                    break
        return found

    @classmethod
    @asynccontextmanager
    async def entered(cls, manager: Any) -> AsyncIterator[Any]:
        """Enter a session, a transaction, a change stream or a cursor, whichever kind of context manager it is."""
        manager = await cls.get(manager)
        if hasattr(manager, "__aenter__"):
            async with manager as value:
                yield value
        else:
            with manager as value:
                yield value


def _sync_client(uri: str, **options: Any) -> Any:
    from pymongo import MongoClient  # noqa: PLC0415 - each test imports only the driver that it is about

    return MongoClient(uri, **options)


def _sync_bucket(database: Any, **options: Any) -> Any:
    from gridfs import GridFSBucket  # noqa: PLC0415 - each test imports only the driver that it is about

    return GridFSBucket(database, **options)


def _async_client(uri: str, **options: Any) -> Any:
    from pymongo import AsyncMongoClient  # noqa: PLC0415 - each test imports only the driver that it is about

    return AsyncMongoClient(uri, **options)


def _async_bucket(database: Any, **options: Any) -> Any:
    from gridfs import AsyncGridFSBucket  # noqa: PLC0415 - each test imports only the driver that it is about

    return AsyncGridFSBucket(database, **options)


def _motor_client(uri: str, **options: Any) -> Any:
    from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415 - each test imports only the driver that it is about

    return AsyncIOMotorClient(uri, **options)


def _motor_bucket(database: Any, **options: Any) -> Any:
    from motor.motor_asyncio import AsyncIOMotorGridFSBucket  # noqa: PLC0415 - each test imports only the driver that it is about

    return AsyncIOMotorGridFSBucket(database, **options)


DRIVERS = {
    driver.name: driver
    for driver in (
        Driver("sync", _sync_client, _sync_bucket),
        Driver("async", _async_client, _async_bucket),
        Driver("motor", _motor_client, _motor_bucket),
    )
}
