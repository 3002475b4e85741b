"""What each process asks when it first needs it, such as a server's catalogs, is recorded in its session too.

It is asked in the lane of whichever request comes first. A replay of another one alone is a process that has not asked
it yet, and has that lane not.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextvars import Context as Variables
from typing import Any, Final

from timetracer_otel import spans
from timetracer_otel.cassette import otlp
from timetracer_otel.seams import calls, faults, runtime
from timetracer_otel.seams.calls import Call, Named
from timetracer_otel.seams.lanes import process

__all__ = ["for_all_requests", "keep", "keep_again"]

_MOST: Final = 1000
"""Calls of one process that are kept: a program may ask for the catalogs of very many tables."""
_OF_THE_LANE: Final = (spans.BRANCH, spans.FOLLOWS)
_kept: set[Hashable] = set()
_life: object = None


def keep(call: Call, named: Named, asked: Hashable) -> bool:
    """Record a call of an entry's lane once more in the session, the first time that a process makes it.

    Args:
        call: that has all its payloads.
        named: names the span.
        asked: what calls that ask the same have alike.

    Returns:
        Whether it was the first time.
    """
    global _life  # noqa: PLW0603 - of the process
    active = runtime.active()
    if active is None or process.enclosing is not None or call.lane.id == active.session().id:
        return False
    if _life is not process.life:  # a forked child has a session of its own
        _life = process.life
        _kept.clear()
    if asked in _kept or len(_kept) >= _MOST:
        return False
    _kept.add(asked)
    keep_again(call, named)
    return True


def keep_again(call: Call, named: Named) -> None:
    """Record a call once more in the session.

    Args:
        call: likewise.
        named: likewise.
    """
    Variables().run(_record_again, call, named)  # in no lane, which is in the session


def _record_again(call: Call, named: Named) -> None:
    again = calls.start(str(call.attributes[spans.PLUGIN]), named)
    if again is not None:
        again.payloads = list(call.payloads)
        again.attributes |= {name: value for name, value in call.attributes.items() if name not in _OF_THE_LANE}
        again.end()


def for_all_requests(wrapped: Any, _instance: object, args: Any, kwargs: Any) -> Any:
    """Go around a function of which a process keeps what it gave, as the wrapper of a :class:`Patch`.

    Such as an object mapper's cache: the calls that it makes are those of a first need.
    """
    before = calls.ending.set(_shown)
    try:
        return wrapped(*args, **kwargs)
    finally:
        calls.ending.reset(before)


def _shown(call: Call) -> None:
    faults.guarded("first_needs", _keep_shown, call)


def _keep_shown(call: Call) -> None:
    call.attributes[spans.FIRST_NEED] = True
    span = call.span
    asked = [encode(name, payload) for encode, name, payload in call.payloads if name == spans.REQUEST]
    keep(call, lambda: (span.name, otlp.own_attributes(span)), repr(asked))
