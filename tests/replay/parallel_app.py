"""A FastAPI app that writes in parallel, and in order; how long each write takes to begin is chance, in every run."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pymongo import AsyncMongoClient, MongoClient

app = FastAPI()
URI = os.environ["MONGODB_URI"]
blocking: Any = MongoClient(URI).parallel
waiting: Any = AsyncMongoClient(URI).parallel
SWAPPED = "SWAPPED" in os.environ
FIRST, SECOND = ("second", "first") if SWAPPED else ("first", "second")


def pause() -> float:
    """Give up to 20 ms, by chance that nobody records."""
    with Path("/dev/urandom").open("rb") as device:
        return device.read(1)[0] / 12_750


def write(name: str, number: int) -> None:
    """Write, after a while."""
    time.sleep(pause())
    blocking[name].insert_one({"_id": number})


async def write_async(name: str, number: int) -> None:
    """Likewise."""
    await asyncio.sleep(pause())
    await waiting[name].insert_one({"_id": number})


@app.post("/pool/{number}")
def pool(number: int) -> dict[str, int]:
    """Write twice in a pool of threads."""
    with ThreadPoolExecutor(2) as executor:
        list(executor.map(write, ("pool_first", "pool_second"), (number, number)))
    return {"number": number}


@app.post("/threads/{number}")
def threads(number: int) -> dict[str, int]:
    """Write in two threads, and beside them."""
    started = [threading.Thread(target=write, args=(name, number)) for name in ("thread_first", "thread_second")]
    for thread in started:
        thread.start()
    write("own", number)
    for thread in started:
        thread.join()
    return {"number": number}


@app.post("/gather/{number}")
async def gather(number: int) -> dict[str, int]:
    """Write in two tasks."""
    await asyncio.gather(write_async("task_first", number), write_async("task_second", number))
    return {"number": number}


@app.post("/to_thread/{number}")
async def to_thread(number: int) -> dict[str, int]:
    """Write in one thread, and when that is done in another."""
    await asyncio.to_thread(write, FIRST, number)
    await asyncio.to_thread(write, SECOND, number)
    return {"number": number}


@app.post("/in_task/{number}")
async def in_task(number: int) -> dict[str, int]:
    """Write twice in order in each of two tasks that run beside one another."""

    async def both(own: str) -> None:
        await write_async(f"{own}_{FIRST}", number)
        await write_async(f"{own}_{SECOND}", number)

    await asyncio.gather(both("one"), both("other"))
    return {"number": number}


@app.post("/fails/{number}")
def fails(number: int) -> dict[str, int]:
    """Write three times; of a changed app something else at first."""
    blocking.begun.insert_one({"_id": number, "total": -number if "CHANGED" in os.environ else number})
    blocking.middle.insert_one({"_id": number})
    blocking.ended.insert_one({"_id": number})
    return {"number": number}
