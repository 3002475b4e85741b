"""Wrappers of functions that draw: they look who calls, and leave libraries alone.

Each is called by the frame that draws, so ``_getframe(1)`` is the caller's; C functions have no frame.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC
from functools import wraps
from typing import Any, Final, TypeAlias

from timetracer_otel.nondeterminism import draws
from timetracer_otel.nondeterminism.callers import PLUMBING, classify, known, outside
from timetracer_otel.nondeterminism.columns import NO_MORE
from timetracer_otel.nondeterminism.draws import column_of, give_new, rest_of_column
from timetracer_otel.nondeterminism.kinds import Kind
from timetracer_otel.seams.c_names import Builtin

__all__ = [
    "Maker",
    "builtin",
    "chosen",
    "class_clock",
    "clock",
    "function",
    "given_choice",
    "noted_choice",
    "object_id",
    "shuffled",
    "temporary_name",
    "use",
    "utc_clock",
]

Maker: TypeAlias = Callable[[Kind, Any], Any]
"""Makes a wrapper from a kind and the original."""

_getframe = sys._getframe  # noqa: SLF001 - the only cheap way to the caller
_draw: Callable[..., Any] = draws.live
_SEQUENCES: Final = frozenset({str, list, tuple, range})
"""The usual ones, which need not be asked for their abstract base class: that takes longer than to choose."""
_NOTHING: Final[dict[str, Any]] = {}
_UTCNOW: Final = (
    "datetime.datetime.utcnow() is deprecated and scheduled for removal in a future version. "
    "Use timezone-aware objects to represent datetimes in UTC: datetime.datetime.now(datetime.UTC)."
)
"""Python's own words, so that filters for them still fit."""


def use(draw: Callable[..., Any]) -> None:
    """Say what a draw of the app does in this process.

    Args:
        draw: :func:`draws.note`, :func:`draws.give` or :func:`draws.live`.
    """
    global _draw  # noqa: PLW0603 - a process has one mode
    _draw = draw


def builtin(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around a function of C that may also only convert what it is given."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        if module == PLUMBING or not kind.draws(args, kwargs):
            return original(*args, **kwargs)
        return _draw(kind, frame, module, original, args, kwargs)

    return _in_place_of(kind, original, wrapper)


def clock(kind: Kind, original: Callable[[], Any]) -> Callable[..., Any]:
    """The same for a clock, which takes nothing and always draws; it is read often."""

    def wrapper() -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        if module == PLUMBING:
            return original()
        return _draw(kind, frame, module, original, (), _NOTHING)

    return _in_place_of(kind, original, wrapper)


def _in_place_of(kind: Kind, original: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    wraps(original)(wrapper)
    wrapper.__module__ = kind.name.partition(".")[0]  # where the wrapper is; os.urandom says that it is posix's
    return Builtin(wrapper)


def function(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around a function of Python, or a method that is looked up on its class."""

    @wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        if module == PLUMBING:
            return original(*args, **kwargs)
        return _draw(kind, frame, module, original, args, kwargs)

    return wrapper


def given_choice(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``Random.choice`` in a replay: as :func:`chosen`, and as fast as can be, see :func:`noted_choice`."""

    @wraps(original)
    def wrapper(self: Any, seq: Any) -> Any:
        if not (type(seq) in _SEQUENCES or isinstance(seq, Sequence)):
            return original(self, seq)
        frame = _getframe(1)
        values = rest_of_column(kind, frame)
        if values is not None and (place := next(values, NO_MORE)) is not NO_MORE:
            if type(place) is int and 0 <= place < len(seq):
                return seq[place]
            return seq[give_new(kind, frame, original, (self, range(len(seq))))]
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        if module == PLUMBING:
            return original(self, seq)
        return seq[_draw(kind, frame, module, original, (self, range(len(seq))), _NOTHING)]

    return wrapper


def noted_choice(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``Random.choice`` in a recording, with as few steps as there can be: a test suite makes millions."""

    @wraps(original)
    def wrapper(self: Any, seq: Any) -> Any:
        if not (type(seq) in _SEQUENCES or isinstance(seq, Sequence)) or not (size := len(seq)):
            return original(self, seq)
        place = self._randbelow(size)  # all that the original does
        column = column_of(kind, _getframe(1))
        if column is not None:
            column.append(place)
        return seq[place]

    return wrapper


def chosen(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around a method of Random that picks from a sequence: what counts are the places of what it picks."""

    @wraps(original)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        if module == PLUMBING or not args or not (type(args[0]) in _SEQUENCES or isinstance(args[0], Sequence)):
            return original(self, *args, **kwargs)
        among = args[0]
        drawn = _draw(kind, frame, module, original, (self, range(len(among)), *args[1:]), kwargs)
        return [among[place] for place in drawn] if isinstance(drawn, list) else among[drawn]

    return wrapper


def shuffled(kind: Kind, original: Callable[..., Any]) -> Callable[..., Any]:
    """Go around ``Random.shuffle``: what counts is the order."""

    def order(self: Any, items: Sequence[Any], *args: Any, **kwargs: Any) -> list[int]:
        places = list(range(len(items)))
        original(self, places, *args, **kwargs)
        return places

    @wraps(original)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        if module == PLUMBING or not args:
            return original(self, *args, **kwargs)
        items = args[0]
        before = list(items)
        for place, came_from in enumerate(_draw(kind, frame, module, order, (self, *args), kwargs)):
            items[place] = before[came_from]
        return None

    return wrapper


def class_clock(kind: Kind, original: Any) -> Any:
    """Go around a class method of ``datetime`` or ``date``.

    Args:
        kind: that it draws.
        original: the descriptor that stands in the class.
    """

    def wrapper(cls: Any, *args: Any, **kwargs: Any) -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        if module == PLUMBING:
            return original(cls, *args, **kwargs)
        return _draw(kind, frame, module, original, (cls, *args), kwargs)

    return _named(wrapper, original)


def utc_clock(kind: Kind, original: Any) -> Any:
    """Go around ``datetime.utcnow``, which from Python 3.12 on warns its caller; else that would be ours."""

    def sample(cls: Any) -> Any:
        return cls.now(UTC).replace(tzinfo=None)

    def wrapper(cls: Any) -> Any:
        frame = _getframe(1)
        module = known.get(frame.f_code.co_filename)
        if module is None:
            module = classify(frame)
        warnings.warn(_UTCNOW, DeprecationWarning, stacklevel=2)
        return sample(cls) if module == PLUMBING else _draw(kind, frame, module, sample, (cls,), {})

    return _named(wrapper, original) if sys.version_info >= (3, 12) else class_clock(kind, original)


def _named(wrapper: Callable[..., Any], original: Any) -> Any:
    wrapper.__name__, wrapper.__qualname__, wrapper.__doc__ = original.__name__, original.__qualname__, original.__doc__
    return classmethod(wrapper)


def object_id(kind: Kind, original: Callable[..., None]) -> Callable[..., None]:
    """Go around ``ObjectId.__init__``. A driver that calls makes ids for the documents of who called it."""
    made = "_ObjectId__id"

    def sample(self: Any) -> bytes:
        original(self)
        data: bytes = self.binary
        return data

    @wraps(original)
    def __init__(self: Any, oid: Any = None) -> None:  # noqa: N807 - it stands in for one
        if oid is not None:
            original(self, oid)
            return
        frame, module = outside(_getframe(1))
        if frame is None:
            original(self)
            return
        drawn = _draw(kind, frame, module, sample, (self,), _NOTHING)
        if getattr(self, made, None) is not drawn:
            original(self, drawn)

    return __init__


def temporary_name(kind: Kind, original: Callable[..., str]) -> Callable[..., str]:
    """Go around the names that ``tempfile`` makes: they count where code that counts asks for a file."""

    @wraps(original)
    def __next__(self: Any) -> str:  # noqa: N807 - it stands in for one
        frame, module = outside(_getframe(1))
        name: str = original(self) if frame is None else _draw(kind, frame, module, original, (self,), _NOTHING)
        return name

    return __next__
