"""What an operation works with, and the list of operations."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from gridfs.errors import NoFile
from pymongo.errors import PyMongoError

from tests.pymongo.driver import Driver

__all__ = ["NOON", "OPERATIONS", "OWN_ID", "OWN_UUID", "Operation", "Use", "operation"]

NOON = dt.datetime(2024, 2, 29, 12, 0, 0, 123000)  # noqa: DTZ001 - as the driver gives times by default
OWN_ID = ObjectId("65e0c5f00000000000000001")
OWN_UUID = uuid.UUID("12345678-1234-5678-1234-567812345678")


@dataclass
class Use:
    """What an operation works with: a driver, its client, and a database of its own."""

    driver: Driver
    client: Any
    db: Any

    async def filled(self, count: int = 12) -> Any:
        """Give a collection of so many numbered documents."""
        await self.driver.get(self.db.drop_collection("numbers"))
        documents = [{"_id": n, "n": n, "even": not n % 2, "name": f"number {n}"} for n in range(count)]
        await self.driver.get(self.db.numbers.insert_many(documents))
        return self.db.numbers

    async def raised(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Exception:
        """Give the error that a method of the driver raises."""
        try:
            await self.driver.get(method(*arguments, **options))
        except (PyMongoError, NoFile) as error:
            return error
        raise AssertionError("nothing was raised")


Operation = Callable[[Use], Coroutine[Any, Any, Any]]
OPERATIONS: dict[str, Operation] = {}


def operation(function: Operation) -> Operation:
    """Add to the list."""
    OPERATIONS[function.__name__] = function
    return function
