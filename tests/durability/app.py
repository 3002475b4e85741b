"""An app that can take its own disk away; served by WSGI (``wsgi``) and ASGI (``asgi``).

``/items/5`` answers ``5``; ``/do/full`` and its like break something, ``/do/mend`` puts it right.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from flask import Flask, Response
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

DIRECTORY = os.path.realpath(os.environ["TIMETRACER_DIR"])
SLOW_SECONDS = 0.3
LARGE = "x" * 300_000

_write = os.write
_held: list[int] = []


def _of_cassettes(file: int) -> bool:
    return os.readlink(f"/proc/self/fd/{file}").startswith(DIRECTORY)  # noqa: PTH115 - the link is no path


def _full(file: int, data: bytes) -> int:
    """Half of the data fits, then the disk is full."""
    if not _of_cassettes(file):
        return _write(file, data)
    if len(data) < 64:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _write(file, data[: len(data) // 2])


def _slow(file: int, data: bytes) -> int:
    if _of_cassettes(file):
        time.sleep(SLOW_SECONDS)
    return _write(file, data)


def _use_up_descriptors() -> None:
    with suppress(OSError):
        while True:
            _held.append(os.dup(0))


def _mend() -> None:
    os.write = _write
    while _held:
        os.close(_held.pop())


def _shadow(write: Callable[[int, bytes], int]) -> Callable[[], None]:
    def shadow() -> None:
        os.write = write  # type: ignore[assignment] # the part of the signature that we use

    return shadow


BREAKING = {
    "nothing": lambda: None,
    "full": _shadow(_full),
    "slow": _shadow(_slow),
    "descriptors": _use_up_descriptors,
    "mend": _mend,
}

wsgi = Flask(__name__)


@wsgi.get("/items/<number>")
def item(number: str) -> str:
    """Answer with the number."""
    return number


@wsgi.get("/large/<number>")
def large(number: str) -> str:
    """Answer with more than is written inline."""
    return number + LARGE


def _pieces(size: int) -> Iterator[bytes]:
    for start in range(0, size, 10_000):
        yield b"%08d: " % start + bytes(9_990)


@wsgi.get("/stream/<int:size>")
def stream(size: int) -> Response:
    """Answer piece by piece."""
    return Response(_pieces(size), mimetype="application/octet-stream")


@wsgi.get("/wait/<seconds>")
def wait(seconds: str) -> str:
    """Answer after a while."""
    time.sleep(float(seconds))
    return seconds


@wsgi.get("/do/<what>")
def do(what: str) -> str:
    """Break something, or mend it."""
    BREAKING[what]()
    return what


async def _item(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["number"])


async def _large(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.path_params["number"] + LARGE)


async def _wait(request: Request) -> PlainTextResponse:
    await asyncio.sleep(float(request.path_params["seconds"]))
    return PlainTextResponse(request.path_params["seconds"])


async def _stream(request: Request) -> StreamingResponse:
    return StreamingResponse(_pieces(int(request.path_params["size"])))


async def _do(request: Request) -> PlainTextResponse:
    BREAKING[request.path_params["what"]]()
    return PlainTextResponse(request.path_params["what"])


asgi = Starlette(
    routes=[
        Route("/items/{number}", _item),
        Route("/large/{number}", _large),
        Route("/stream/{size}", _stream),
        Route("/wait/{seconds}", _wait),
        Route("/do/{what}", _do),
    ],
)
