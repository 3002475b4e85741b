"""Exceptions as text, and the same exceptions again: class, arguments, state, notes and what caused them.

An exception is made again without running its constructor, whose parameters may be others than its arguments. An
object among the arguments is kept by its type, and the live one of that type takes its place; where there is none, the
replay says so. Text passes through redaction.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from types import BuiltinFunctionType, GetSetDescriptorType, MemberDescriptorType, MethodDescriptorType, ModuleType
from typing import Any, Final, TypeAlias

from timetracer_otel import redaction
from timetracer_otel.errors import CassetteError

__all__ = ["BY_SIGNAL", "INTERRUPTED", "Maker", "encoded", "exit_status", "is_cancelled", "is_own_timeout", "rebuilt"]

BY_SIGNAL: Final = 128
"""What a shell adds to the number of the signal that has ended a program."""
INTERRUPTED: Final = BY_SIGNAL + signal.SIGINT
"""What a shell says of a program that Ctrl-C has ended."""
_DEPTH = 8
_COLLECTIONS: dict[str, Callable[[list[Any]], object]] = {
    "tuple": tuple,
    "list": list,
    "set": set,
    "frozenset": frozenset,
}
_MAY_BE_RAISED = (Exception, asyncio.CancelledError)
_SPECIAL = frozenset({
    "args", "__cause__", "__context__", "__suppress_context__", "__traceback__", "__dict__", "__weakref__"
})  # fmt: skip
"""Members of every exception, which are kept by other means or not at all."""

Maker: TypeAlias = Callable[[list[tuple[str, str]]], object]
"""Makes a client's own headers of pairs."""


def encoded(error: BaseException) -> str:
    """Give an exception as JSON: ``{"type": …, "args": […], "text": …}``, and what else it has.

    Args:
        error: of any class.
    """
    return json.dumps(_described(error, 0))


def exit_status(error: SystemExit) -> int:
    """Give the exit status that an exception asks for (handle_system_exit in Python/pythonrun.c).

    Args:
        error: that ends the program.
    """
    code = error.code
    return 0 if code is None else code & 0xFF if isinstance(code, int) else 1


def _described(error: BaseException, depth: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "type": _name(type(error)),
        "args": [_plain(value, depth) for value in error.args],
        "members": {name: _plain(value, depth) for name, value in _members(error)},
    }
    state = {name: _plain(value, depth) for name, value in getattr(error, "__dict__", {}).items()}
    if state:
        described["state"] = state
    with suppress(Exception):  # a __str__ of any library
        described["text"] = redaction.text(str(error))
    for name, other in (("cause", error.__cause__), ("context", error.__context__)):
        if other is not None and depth < _DEPTH:
            described[name] = _described(other, depth + 1)
    if error.__suppress_context__:
        described["suppress"] = True
    return described


def _members(error: BaseException) -> Iterator[tuple[str, object]]:
    """The state that is not in the exception's dictionary: what C and ``__slots__`` keep, such as ``errno``."""
    for name, member in _descriptors(type(error)).items():
        with suppress(AttributeError):  # not set
            value = member.__get__(error)
            if value is not None:  # which is also what C shows of what is not set
                yield name, value


def _descriptors(kind: type) -> dict[str, Any]:
    return {
        name: member
        for base in reversed(kind.__mro__)
        for name, member in vars(base).items()
        if isinstance(member, MemberDescriptorType | GetSetDescriptorType) and name not in _SPECIAL
    }


def _plain(value: object, depth: int) -> Any:
    if value is None or type(value) in {int, float, bool}:
        return value
    if isinstance(value, str):
        return redaction.text(str(value))
    if type(value) is bytes:
        return {"bytes": redaction.text(value.decode("latin-1"))}
    if depth < _DEPTH:
        return _nested(value, depth + 1)
    return {"object": _name(type(value))}


def _nested(value: Any, depth: int) -> dict[str, Any]:
    if isinstance(value, BaseException):
        return {"error": _described(value, depth)}
    if type(value) in {tuple, list, set, frozenset}:
        return {"items": [_plain(item, depth) for item in value], "of": type(value).__name__}
    if type(value) is dict:
        return {"entries": [[_plain(key, depth), _plain(item, depth)] for key, item in value.items()]}
    if isinstance(value, int):  # an enumeration's member, such as an errno or an SSL code
        return {"object": _name(type(value)), "value": int(value)}
    described: dict[str, Any] = {"object": _name(type(value))}
    if isinstance(value, Mapping):  # headers
        described["pairs"] = redaction.headers([(str(key), str(item)) for key, item in value.items()])
    return described


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def is_cancelled(error: str) -> bool:
    """Whether the recorded app itself cancelled the call."""
    return str(json.loads(error).get("type")) == "asyncio.exceptions.CancelledError"


def is_own_timeout(error: str) -> bool:
    """Whether the recorded app's own clock ended the call: a plain TimeoutError, no library's subclass."""
    return str(json.loads(error).get("type")) in {"builtins.TimeoutError", "asyncio.exceptions.TimeoutError"}


def rebuilt(error: str, live: Iterable[object] = (), headers: Maker | None = None) -> BaseException:
    """Make a recorded exception again. Only classes that are loaded, so that no cassette imports code.

    Args:
        error: from :func:`encoded`.
        live: objects that take the place of recorded ones of their type.
        headers: makes those that the exception holds.

    Raises:
        CassetteError: it names no exception of this process, holds what cannot be made again, or is damaged.
    """
    try:
        return _Rebuilding({_name(type(value)): value for value in live}, headers).made(json.loads(error))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        raise CassetteError(f"a recorded exception is damaged ({cause}): record it again") from cause


class _LackingError(Exception):
    """Raised where an exception holds a value that cannot be made again."""


class _Rebuilding:
    """Makes one recorded exception, and those that it holds."""

    def __init__(self, live: dict[str, object], headers: Maker | None) -> None:
        self._live = live
        self._headers = headers

    def made(self, described: dict[str, Any]) -> BaseException:
        kind = _class_of(described["type"])
        try:
            arguments = tuple(self._value(value) for value in described["args"])
        except _LackingError as lacking:
            raise CassetteError(
                f"the recorded exception {described['type']} holds a {lacking}, which no replay can make again: "
                "catch what the replay of this call raises, or leave the call out of the replay"
            ) from None
        error = _made_before_members(kind, arguments) if "members" not in described else _blank(kind, arguments)
        _set_members(error, dict(self._known(described.get("members", {}))))
        for name, value in self._known(described.get("state", {})):
            error.__dict__[name] = value
        self._chain(error, described)
        return error

    def _known(self, state: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
        """The state that can be made again: an app rarely looks at the rest, and gets an AttributeError."""
        for name, value in state.items():
            with suppress(_LackingError, CassetteError):
                yield name, self._value(value)

    def _chain(self, error: BaseException, described: dict[str, Any]) -> None:
        with suppress(CassetteError):  # a class that is not known here: the exception itself is
            if "context" in described:
                error.__context__ = self.made(described["context"])
            if "cause" in described:
                error.__cause__ = self.made(described["cause"])
        error.__suppress_context__ = bool(described.get("suppress"))

    def _value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if "bytes" in value:
            return value["bytes"].encode("latin-1")
        if "error" in value:
            return self.made(value["error"])
        if "items" in value:
            return _COLLECTIONS[value.get("of", "tuple")]([self._value(item) for item in value["items"]])
        if "entries" in value:
            return {self._value(key): self._value(item) for key, item in value["entries"]}
        return self._object(value)

    def _object(self, value: dict[str, Any]) -> Any:
        name = value["object"]
        if "pairs" in value and self._headers is not None:
            return self._headers([(name, item) for name, item in value["pairs"]])
        if name in self._live:
            return self._live[name]
        if "value" in value:
            return value["value"]  # equal to the enumeration's member
        if "text" in value:  # recorded before objects had to come back as what they were
            return value["text"]
        raise _LackingError(name)


def _blank(kind: type[BaseException], arguments: tuple[object, ...]) -> BaseException:
    """Make an exception by the ``__new__`` of its nearest base in C: no code of the library's own class runs."""
    maker = next(made for base in kind.__mro__ if isinstance(made := vars(base).get("__new__"), BuiltinFunctionType))
    error: BaseException = maker(kind, *arguments)
    error.args = arguments
    return error


def _set_members(error: BaseException, members: dict[str, object]) -> None:
    """Set what an exception of C holds; where it lets nobody, by the function in C that unpickles it, if it has one."""
    descriptors, kept = _descriptors(type(error)), dict[str, object]()
    for name, value in members.items():
        try:
            descriptors[name].__set__(error, value)
        except (AttributeError, TypeError, KeyError):  # the arguments made it, or nothing does
            kept[name] = value
    unpickles = getattr(type(error), "__setstate__", None)
    if kept and isinstance(unpickles, MethodDescriptorType) and unpickles.__objclass__ is not BaseException:
        with suppress(Exception):
            unpickles(error, kept)


def _made_before_members(kind: type[BaseException], arguments: tuple[object, ...]) -> BaseException:
    """Make an exception of a cassette that does not say what its constructor left: that is called."""
    try:
        error = kind(*arguments)
    except Exception:  # noqa: BLE001 - a constructor of any library, with other parameters than its args
        error = kind.__new__(kind, *arguments)
    if error.args != arguments:
        error.args = arguments
    return error


def _class_of(name: str) -> type[BaseException]:
    """Find a class by its name: in the dictionary of its module, else among the classes of exceptions there are."""
    module, _, attribute = str(name).rpartition(".")
    loaded = sys.modules.get(module)
    # Not getattr: a module may import, or run anything else, when it is asked for a name.
    found = object.__getattribute__(loaded, "__dict__").get(attribute) if isinstance(loaded, ModuleType) else None
    if isinstance(found, type) and issubclass(found, _MAY_BE_RAISED):
        return found
    for kind in _subclasses(BaseException):
        if _name(kind) == name and issubclass(kind, _MAY_BE_RAISED):
            return kind
    raise CassetteError(f"the recorded exception {name} is not known here; use the recorded version of the library")


def _subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    below: type[BaseException]
    for below in type.__subclasses__(kind):
        yield below
        yield from _subclasses(below)
