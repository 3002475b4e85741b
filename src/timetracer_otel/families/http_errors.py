"""What a client's I/O raised, as text, and the same class with the same message again.

Exceptions of HTTP clients hold other exceptions and objects of the client. Nested exceptions are kept whole; an object
is kept by its type, and the live one of that type takes its place.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from timetracer_otel.errors import CassetteError

__all__ = ["encoded", "is_cancelled", "is_own_timeout", "rebuilt"]

_DEPTH = 8


def encoded(error: BaseException) -> str:
    """Give an exception as JSON: ``{"type": …, "args": […], "state": {…}, "text": …}``."""
    return json.dumps(_described(error, 0))


def _described(error: BaseException, depth: int) -> dict[str, Any]:
    described: dict[str, Any] = {"type": _name(type(error)), "args": [_plain(value, depth) for value in error.args]}
    state = {name: _plain(value, depth) for name, value in vars(error).items() if not name.startswith("__")}
    if state:
        described["state"] = state
    described["text"] = str(error)
    return described


def _plain(value: object, depth: int) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.decode("latin-1")}
    if depth < _DEPTH and isinstance(value, BaseException):
        return {"error": _described(value, depth + 1)}
    if depth < _DEPTH and type(value) in {tuple, list}:
        return {"items": [_plain(item, depth + 1) for item in value]}  # type: ignore[attr-defined]  # one of the two, just tested
    described: dict[str, Any] = {"object": _name(type(value)), "text": str(value)[:1000]}
    if isinstance(value, Mapping):  # headers
        described["pairs"] = [[str(name), str(item)] for name, item in value.items()]
    return described


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def is_cancelled(error: str) -> bool:
    """Whether the recorded app itself cancelled the exchange."""
    return str(json.loads(error).get("type")) == "asyncio.exceptions.CancelledError"


def is_own_timeout(error: str) -> bool:
    """Whether the recorded app's own clock ended the exchange: a plain TimeoutError, no library's subclass."""
    return str(json.loads(error).get("type")) in {"builtins.TimeoutError", "asyncio.exceptions.TimeoutError"}


Maker: TypeAlias = Callable[[list[tuple[str, str]]], object]
"""Makes a client's own headers of pairs."""


def rebuilt(error: str, live: Iterable[object] = (), headers: Maker | None = None) -> BaseException:
    """Make a recorded exception again. Only classes of modules that are loaded, so that no cassette imports code.

    Args:
        error: from :func:`encoded`.
        live: objects that take the place of recorded ones of their type.
        headers: makes those that the exception holds.

    Raises:
        CassetteError: it names no exception of this process, or is damaged.
    """
    try:
        return _Rebuilding({_name(type(value)): value for value in live}, headers).made(json.loads(error))
    except (ValueError, TypeError, KeyError, AttributeError) as cause:
        raise CassetteError(f"a recorded exception is damaged ({cause}): record it again") from cause


class _Rebuilding:
    """Makes one recorded exception, and those that it holds."""

    def __init__(self, live: dict[str, object], headers: Maker | None) -> None:
        self._live = live
        self._headers = headers

    def made(self, described: dict[str, Any]) -> BaseException:
        kind = _class_of(described["type"])
        arguments = tuple(self._value(value) for value in described["args"])
        try:
            error = kind(*arguments)
        except Exception:  # noqa: BLE001 - a constructor of any library, with other parameters than its args
            error = kind.__new__(kind, *arguments)
        if error.args != arguments:
            error.args = arguments
        for name, value in described.get("state", {}).items():
            try:
                setattr(error, name, self._value(value))
            except AttributeError:  # a property without a setter: the constructor or the args made it
                continue
        return error

    def _value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if "bytes" in value:
            return value["bytes"].encode("latin-1")
        if "error" in value:
            return self.made(value["error"])
        if "items" in value:
            return tuple(self._value(item) for item in value["items"])
        if "pairs" in value and self._headers is not None:
            return self._headers([(name, item) for name, item in value["pairs"]])
        return self._live.get(value["object"], value.get("text"))


def _class_of(name: str) -> type[BaseException]:
    module, _, attribute = name.rpartition(".")
    kind = getattr(sys.modules.get(module), attribute, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception | asyncio.CancelledError)):
        raise CassetteError(f"the recorded exception {name} is not known here; use the recorded version of the library")
    return kind
