"""Code of an app that draws in every way, with names bound at import. Tests compare what it gives."""

# ruff: noqa: DTZ002, DTZ003, DTZ005, DTZ011 - apps draw local times too
# ruff: noqa: PLW0108 - a lambda looks its function up when it is called, as an app's statement does
# ruff: noqa: T201 - it is a program as well

from __future__ import annotations

import os
import random
import secrets
import ssl
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from random import choice
from time import perf_counter
from time import time as now
from typing import Any
from uuid import uuid4

from bson import ObjectId

__all__ = ["DRAWS", "Moment", "Order"]


@dataclass
class Order:
    """Draws by default factories, which generated code calls."""

    id: uuid.UUID = field(default_factory=uuid4)
    at: datetime = field(default_factory=datetime.now)


class Timed:
    """Holds a clock as an attribute of its class, which must not become a method."""

    clock = time.monotonic


class Moment(datetime):
    """A subclass, as apps make them."""


def shuffled() -> list[int]:
    """A list in another order."""
    items = list(range(12))
    random.shuffle(items)
    return items


def temporary() -> str:
    """The name of a new folder, which is gone again."""
    with tempfile.TemporaryDirectory() as folder:
        return Path(folder).name


def instance() -> list[float]:
    """What an instance seeded by the system draws."""
    mine = random.Random()
    return [mine.random(), mine.choice([1.5, 2.5, 3.5]), mine.uniform(1, 2)]


DRAWS: dict[str, Callable[[], Any]] = {
    "time.time": lambda: time.time(),
    "time.time bound at import": lambda: now(),
    "time.time_ns": lambda: time.time_ns(),
    "time.localtime": lambda: (time.localtime(), time.localtime().tm_zone),
    "time.gmtime": lambda: time.gmtime(),
    "time.ctime": lambda: (time.ctime(), time.asctime()),
    "time.strftime": lambda: time.strftime("%H:%M:%S"),
    "time.monotonic": lambda: (time.monotonic(), time.monotonic_ns()),
    "time.perf_counter": lambda: (perf_counter(), time.perf_counter_ns(), time.process_time()),
    "datetime.now": lambda: datetime.now(),
    "datetime.now in a zone": lambda: datetime.now(UTC),
    "datetime.now by name": lambda: datetime.now(tz=UTC),
    "datetime.utcnow": lambda: datetime.utcnow(),
    "datetime.today": lambda: (datetime.today(), date.today()),
    "a subclass of datetime": lambda: (Moment.now(UTC), Moment.today()),
    "uuid.uuid4": lambda: uuid.uuid4(),
    "uuid.uuid4 bound at import": lambda: uuid4(),
    "uuid.uuid1": lambda: uuid.uuid1(),
    "random": lambda: (random.random(), random.randint(1, 9**9), random.getrandbits(200), random.gauss(0, 1)),
    "random.choice": lambda: (random.choice(list("abcdefghijklmn")), choice(range(10**6))),
    "random.choices": lambda: (random.choices("abcdefgh", k=9), random.sample(range(10**6), 4)),
    "random.choices by weight": lambda: random.choices("abc", weights=[5, 3, 1], k=20),
    "random.shuffle": shuffled,
    "random.randbytes": lambda: random.randbytes(9),
    "random.Random": instance,
    "random.SystemRandom": lambda: (random.SystemRandom().random(), random.SystemRandom().randrange(10**9)),
    "secrets": lambda: (secrets.token_hex(9), secrets.token_bytes(9), secrets.token_urlsafe(9), secrets.token_bytes()),
    "secrets.choice": lambda: (secrets.choice(range(10**9)), secrets.randbelow(10**9), secrets.randbits(100)),
    "os.urandom": lambda: os.urandom(12),
    "os.getrandom": lambda: (os.getrandom(9), os.getrandom(8, os.GRND_NONBLOCK), ssl.RAND_bytes(7)),
    "bson.ObjectId": lambda: (ObjectId(), ObjectId()),
    "tempfile": temporary,
}
"""Each draws something; the names are those of the tests."""

BOUND: dict[str, Callable[[], Any]] = {
    "a default factory": lambda: Order(),
    "a clock of a class": lambda: Timed().clock(),  # type: ignore[misc] # a function of C is no method
}
"""What classes have bound when they were made: seen only where we are there before the app's modules are imported."""

if __name__ == "__main__":
    for name, draw in (DRAWS | BOUND).items():
        print(f"{name}: {draw()!r}")
