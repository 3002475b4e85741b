"""DiskCache: its database is sqlite3's, of which the calls are; here are its files, and what opens its connections.

Each thread of an app opens a connection when it first needs one, which is chance: what that asks is no call.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import Any, Final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from timetracer_otel import seams, spans
from timetracer_otel.families import failures
from timetracer_otel.families.files import given, matching
from timetracer_otel.families.files.matching import Asked
from timetracer_otel.nondeterminism import kinds, wrappers
from timetracer_otel.seams import Answer, Call, Generator, Integration, Patch, Responder

__all__ = ["INTEGRATION"]

NAME: Final = "diskcache"
_CORE: Final = "diskcache.core"
_RECIPES: Final = "diskcache.recipes"
_NAME_PARTS: Final = 3
"""A file is in a folder of a folder of the cache's."""
_CONNECTION: Final = "_timetracer_connection"
"""Where a thread has its connection of a replay."""
_LOCK: Final = "_timetracer_lock"
"""Where a cache has what its threads wait for in a replay."""


def _is_recorded() -> bool:
    return seams.active() is not None and NAME not in seams.switched_off


def _name(path: Any) -> str:
    """Name a file so that the cache's own folder may be another one in another run."""
    return "/".join(PurePath(os.fsdecode(path)).parts[-_NAME_PARTS:])


# Calls.


def _ask(asked: Asked, responder: Responder) -> Answer:
    """Give what a call was told, or raise what it raised."""
    answer = responder.answer(
        matching.describe(asked), asked.shown, recording=lambda: spans.encode_payload(spans.REQUEST, asked.encoded())
    )
    if (error := answer.recorded.text(spans.ERROR)) is not None:
        raise failures.error_of(responder, error)
    return answer


def _told(asked: Asked, responder: Responder) -> Any:
    """Likewise, of what was told in JSON."""
    return json.loads(_ask(asked, responder).recorded.payload(spans.RESPONSE) or b"null")


def _record(asked: Asked, do: Callable[[], Any], tell: Callable[[Any], bytes]) -> Any:
    """Do something, and record it.

    Args:
        asked: what; its parts may be known only when it is done.
        do: does it.
        tell: gives what is told, of the result.
    """
    call = seams.start(NAME, partial(_named, asked))
    try:
        result = do()
    except BaseException as error:
        _put(call, asked, None)
        if call is not None:
            call.fail(error)
            call.end()
        raise
    if call is not None:
        try:
            _put(call, asked, tell(result))
            call.end()
        except Exception as error:  # noqa: BLE001 - recording never breaks the app
            call.lose(f"{NAME}.{asked.operation}", error)
    return result


def _put(call: Call | None, asked: Asked, told: bytes | None) -> None:
    if call is not None:
        call.put(spans.REQUEST, asked.encoded())
        if told is not None:
            call.put(spans.RESPONSE, told)


def _named(asked: Asked) -> tuple[str, Mapping[str, spans.Attribute]]:
    return asked.operation, {"db.system.name": NAME, "db.operation.name": asked.operation, "file.path": asked.name}


def _in_json(value: Any) -> bytes:
    return json.dumps(value).encode()


# Files.


def _open(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    """Open a file that holds a value; those that are written are :func:`_write`'s."""
    mode = args[1] if len(args) > 1 else kwargs.get("mode", "r")
    if not _is_recorded() or "r" not in mode:
        return wrapped(*args, **kwargs)
    asked = Asked("read", _name(args[0]), mode)
    responder = seams.responder(NAME)
    if responder is not None:
        answer = _ask(asked, responder)
        content = answer.recorded.payload(spans.RESPONSE) or b""
        return given.file(args[0], matching.rebound(content, answer.bindings), mode, kwargs.get("encoding"))
    return _record(asked, partial(wrapped, *args, **kwargs), given.content)


def _write(wrapped: Any, _instance: Any, args: Any, kwargs: Any) -> Any:
    names = ("full_path", "iterator", "mode", "encoding")
    values = {**dict(zip(names, args, strict=False)), **kwargs}
    if not _is_recorded() or set(values) - set(names):
        return wrapped(*args, **kwargs)
    asked = Asked("write", _name(values["full_path"]), values["mode"])
    values["iterator"] = asked.watched(values["iterator"], values.get("encoding"))
    responder = seams.responder(NAME)
    if responder is None:
        return _record(asked, partial(wrapped, **values), _in_json)
    size = sum(map(len, values["iterator"]))
    _ask(asked, responder)
    return size


def _fact(operation: str, ask: Callable[[Any], Any]) -> Any:
    """Make what asks for a fact of a file, and gives it in JSON."""

    def fact(path: Any) -> Any:
        if not _is_recorded():
            return ask(path)
        asked = Asked(operation, _name(path))
        responder = seams.responder(NAME)
        return _record(asked, partial(ask, path), _in_json) if responder is None else _told(asked, responder)

    return staticmethod(fact)


def _walk(top: Any) -> Iterator[tuple[str, list[str], list[str]]]:
    if not _is_recorded():
        return os.walk(top)
    asked = Asked("walk", "")
    responder = seams.responder(NAME)
    if responder is not None:
        return ((str(Path(top, below)), *names) for below, *names in _told(asked, responder))

    def tell(walked: list[tuple[str, list[str], list[str]]]) -> bytes:
        return _in_json([(os.path.relpath(folder, top), *names) for folder, *names in walked])

    return iter(_record(asked, lambda: list(os.walk(top)), tell))


def _changing(change: Callable[..., None]) -> Any:
    """Make what changes folders or removes a file: in a replay there are none."""

    def changed(*args: Any, **kwargs: Any) -> None:
        if not _is_recorded() or seams.responder(NAME) is None:
            change(*args, **kwargs)

    return staticmethod(changed)


def _is_folder(path: Any) -> bool:
    return Path(path).is_dir() or (_is_recorded() and seams.responder(NAME) is not None)


class _Delegating(type):
    """The class of what stands in the place of a module: what it does not have, that has."""

    def __getattr__(cls, name: str) -> Any:
        return getattr(cls.__wrapped__, name)  # set when it is put in place


def _os(_original: Any) -> Any:
    class Os(metaclass=_Delegating):
        makedirs = _changing(os.makedirs)
        remove = _changing(os.remove)
        removedirs = _changing(os.removedirs)
        rmdir = _changing(os.rmdir)
        walk = staticmethod(_walk)

    return Os


def _path(_original: Any) -> Any:
    class OsPath(metaclass=_Delegating):
        exists = _fact("exists", os.path.exists)
        getsize = _fact("getsize", os.path.getsize)
        isdir = staticmethod(_is_folder)

    return OsPath


# Locks.


def _drawing(name: str) -> Callable[[Any], Any]:
    """Make what stands for a module by which a lock says who holds it: a replay's process and threads are others.

    Args:
        name: of the module's function that says it.
    """

    def module(original: Any) -> Any:
        drawn = kinds.generated(Generator(original.__name__, name, "uuid"))
        return _Delegating(original.__name__, (), {name: wrappers.builtin(drawn, getattr(original, name))})

    return module


# Connections.


class _Connection(property):
    """A thread's connection of a cache."""

    def __get__(self, cache: Any, owner: Any = None) -> Any:
        if cache is None or not _is_recorded():
            return super().__get__(cache, owner)
        responder = seams.responder(NAME)
        if responder is not None:
            return self._replayed(cache, responder)
        local = cache._local  # noqa: SLF001 - where a cache has them
        opened = getattr(local, "con", None)
        if opened is not None and getattr(local, "pid", None) == os.getpid() and self._is_seen(cache, opened):
            return opened
        if opened is not None:
            cache.close()
        with suppress_instrumentation():
            return super().__get__(cache, owner)

    def _is_seen(self, cache: Any, opened: Any) -> bool:
        """Whether a connection is one of a recording; one that is in a transaction stays what it is."""
        return hasattr(opened, "_timetracer") or cache._txn_id == threading.get_ident()  # noqa: SLF001 - as above

    def _replayed(self, cache: Any, responder: Responder) -> Any:
        local = cache._local  # noqa: SLF001 - as above
        of, opened = getattr(local, _CONNECTION, (None, None))
        if of is not responder or opened is None:
            path = str(Path(cache.directory, "cache.db"))
            opened = sqlite3.connect(path, timeout=cache.timeout, isolation_level=None)
            setattr(local, _CONNECTION, (responder, opened))
        return opened


def _connection(original: Any) -> Any:
    return _Connection(original.fget)


def _transact(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    """Let a thread's transaction wait for another's: in a replay there is no database that has them wait."""
    transaction = wrapped(*args, **kwargs)
    if not _is_recorded() or seams.responder(NAME) is None:
        return transaction
    return _alone(instance.__dict__.setdefault(_LOCK, threading.RLock()), transaction)


@contextmanager
def _alone(lock: threading.RLock, transaction: AbstractContextManager[Any]) -> Iterator[Any]:
    with lock, transaction as entered:
        yield entered


def _patches() -> Iterable[Patch]:
    yield Patch(_CORE, "open", _open)
    yield Patch(_CORE, "os", maker=_os)
    yield Patch(_CORE, "op", maker=_path)
    yield Patch(_CORE, "Disk._write", _write)
    yield Patch(_CORE, "Cache._con", maker=_connection)
    yield Patch(_CORE, "Cache._transact", _transact)
    yield Patch(_RECIPES, "os", maker=_drawing("getpid"))
    yield Patch(_RECIPES, "threading", maker=_drawing("get_ident"))


INTEGRATION = Integration(
    name=NAME,
    patches=tuple(_patches()),
    describe=matching.describe_recorded,
    reply_values=matching.reply_values,
    answer=matching.answer,
    render=matching.render,
    oldest=("diskcache", (5, 4)),
    packages={"diskcache": "diskcache"},
)
