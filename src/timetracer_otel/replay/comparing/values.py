"""Differences of two JSON-like values. Responses, calls and whole cassettes are all compared by this."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson

from timetracer_otel.seams import web_tokens

__all__ = [
    "ABSENT",
    "Absent",
    "FieldDifference",
    "differences",
    "from_difference",
    "orders",
    "pairs_by_likeness",
    "short",
]

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST: Final = 120
_BEFORE: Final = 40
"""Characters of a long text that are shown before the first difference."""
_MOST_PAIRED: Final = 200
"""How many calls of one key are compared with one another; beyond that they pair in order."""


class Absent:
    """The side of a difference where there is nothing."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = Absent()


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One place where two values differ.

    Attributes:
        path: ``$`` for the whole, ``$.items[0].price`` for a part.
        recorded: the first value there, or :data:`ABSENT`.
        live: the second one.
    """

    path: str
    recorded: object
    live: object

    def __str__(self) -> str:
        recorded, live = from_difference(self.recorded, self.live)
        return f"{self.path}: {short(recorded)} recorded, {short(live)} now"

    def as_json(self) -> dict[str, Any]:
        """The difference as data; a side where there is nothing has no member."""
        sides = {"recorded": self.recorded, "live": self.live}
        return {"path": self.path, **{name: side for name, side in sides.items() if side is not ABSENT}}


def short(value: object) -> str:
    """Write a value in one line of bounded length.

    Args:
        value: JSON-like.
    """
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def from_difference(recorded: object, live: object) -> tuple[object, object]:
    """Give two values, long texts from a little before their first difference: their beginnings may be alike.

    Args:
        recorded: one value.
        live: the other.
    """
    if not (isinstance(recorded, str) and isinstance(live, str) and max(len(recorded), len(live)) > _LONGEST):
        return recorded, live
    parted = (n for n, (one, other) in enumerate(zip(recorded, live, strict=False)) if one != other)
    at = next(parted, min(len(recorded), len(live))) - _BEFORE
    return (recorded, live) if at <= 0 else (f"…{recorded[at:]}", f"…{live[at:]}")


def differences(recorded: object, live: object, path: str = "$") -> Iterator[FieldDifference]:
    """Give every place where two values differ. Members of an object may stand in any order, items of a list not.

    A number is another one when its kind is (``1`` and ``1.0``). JSON Web Tokens are compared by header and claims
    (RFC 7519, section 7.2), their signatures not at all.

    Args:
        recorded: one value.
        live: the other.
        path: where both are.
    """
    if isinstance(recorded, Mapping) and isinstance(live, Mapping):
        for key in [*recorded, *(key for key in live if key not in recorded)]:
            yield from differences(recorded.get(key, ABSENT), live.get(key, ABSENT), path + _step(str(key)))
    elif _is_list(recorded) and _is_list(live):
        yield from _of_lists(recorded, live, path)
    elif type(recorded) is not type(live) or recorded != live:
        yield from _of_leaves(recorded, live, path)


def orders(recorded: object, live: object, path: str = "$") -> Iterator[FieldDifference]:
    """Give every object whose members stand in another order: to MongoDB that is another document.

    Args:
        recorded: one value.
        live: the other.
        path: where both are.
    """
    if isinstance(recorded, Mapping) and isinstance(live, Mapping):
        if list(recorded) != list(live):
            yield FieldDifference(path, list(recorded), list(live))
        for key in recorded.keys() & live.keys():
            yield from orders(recorded[key], live[key], path + _step(str(key)))
    elif _is_list(recorded) and _is_list(live):
        for number, (one, other) in enumerate(zip(recorded, live, strict=False)):
            yield from orders(one, other, f"{path}[{number}]")


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


def _of_lists(recorded: Any, live: Any, path: str) -> Iterator[FieldDifference]:
    for number in range(max(len(recorded), len(live))):
        one = recorded[number] if number < len(recorded) else ABSENT
        other = live[number] if number < len(live) else ABSENT
        yield from differences(one, other, f"{path}[{number}]")


def _of_leaves(recorded: object, live: object, path: str) -> Iterator[FieldDifference]:
    if isinstance(recorded, str) and isinstance(live, str):
        claims = _claims_of(recorded), _claims_of(live)
        if None not in claims:
            yield from differences(*claims, path)
            return
        if web_tokens.readable(recorded) == web_tokens.readable(live):
            return
    yield FieldDifference(path, recorded, live)


def _claims_of(text: str) -> dict[str, Any] | None:
    """Header and claims, when a text is a token and nothing else."""
    return web_tokens.claims(text) if web_tokens.is_token(text) else None


def _step(key: str) -> str:
    return f".{key}" if _PLAIN_KEY.fullmatch(key) else f"[{orjson.dumps(key).decode()}]"


def pairs_by_likeness(
    recorded: Sequence[object], live: Sequence[object]
) -> Iterator[tuple[int, int, list[FieldDifference]]]:
    """Pair values that differ least, each once.

    Args:
        recorded: values of one kind.
        live: others of the same kind.

    Yields:
        The numbers of both in their sequences, and what differs between them.
    """
    if len(recorded) * len(live) > _MOST_PAIRED * _MOST_PAIRED:
        for number in range(min(len(recorded), len(live))):
            yield number, number, list(differences(recorded[number], live[number]))
        return
    found = [
        (list(differences(one, other)), mine, theirs)
        for mine, one in enumerate(recorded)
        for theirs, other in enumerate(live)
    ]
    mine_left, theirs_left = set(range(len(recorded))), set(range(len(live)))
    for different, mine, theirs in sorted(found, key=lambda pair: (len(pair[0]), abs(pair[1] - pair[2]), pair[1])):
        if mine in mine_left and theirs in theirs_left:
            mine_left.remove(mine)
            theirs_left.remove(theirs)
            yield mine, theirs, different
