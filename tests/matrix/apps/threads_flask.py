"""A Flask app whose handlers post through three clients, from threads and pools of every kind."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from threading import Thread, Timer
from typing import Any

import flask
import httpx
import requests
import urllib3

PEER = os.environ["RATES_URL"]
EXECUTOR = ThreadPoolExecutor(3)
THREADS = ThreadPool(3)
MANAGER = urllib3.PoolManager()
Post = Callable[[str], str]
Names = list[str]

app = flask.Flask(__name__)


def told(name: str) -> dict[str, str]:
    """What is posted: a value of its own each time."""
    return {"name": name, "id": str(uuid.uuid4())}


def by_requests(name: str) -> str:
    """Post by requests."""
    return requests.post(f"{PEER}/requests", json=told(name), timeout=30).text


def by_urllib3(name: str) -> str:
    """Post by urllib3."""
    return MANAGER.request("POST", f"{PEER}/urllib3", json=told(name)).data.decode()


def by_httpx(name: str) -> str:
    """Post by httpx."""
    return httpx.post(f"{PEER}/httpx", json=told(name), timeout=30).text


def by_asking(_name: str) -> str:
    """Ask what is answered differently each time."""
    return requests.get(f"{PEER}/next", timeout=30).text


def in_threads(post: Post, names: Names, kind: Callable[..., Thread] = Thread) -> Names:
    """A thread each."""
    found: dict[str, str] = {}

    def run(name: str) -> None:
        found[name] = post(name)

    threads = [kind(target=run, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[name] for name in names]


def a_timer(target: Callable[..., Any], args: tuple[Any, ...]) -> Timer:
    """A thread that waits before it begins."""
    return Timer(0.001, target, args)


def in_own_executor(post: Post, names: Names) -> Names:
    """An executor of the request's."""
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(post, names))


WAYS: dict[str, Callable[[Post, Names], Names]] = {
    "thread": in_threads,
    "timer": lambda post, names: in_threads(post, names, a_timer),
    "own": in_own_executor,
    "executor": lambda post, names: [future.result() for future in [EXECUTOR.submit(post, name) for name in names]],
    "pool": THREADS.map,
}
CLIENTS: dict[str, Post] = {"requests": by_requests, "urllib3": by_urllib3, "httpx": by_httpx, "asking": by_asking}


@app.post("/<client>/<way>/<name>")
def post(client: str, way: str, name: str) -> Any:
    """Post three times at once, and answer what came back."""
    return flask.jsonify(WAYS[way](CLIENTS[client], [f"{name} {number}" for number in range(3)]))
