"""The ids of the server's processes that a replay's connections are told, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any
from weakref import WeakKeyDictionary

from timetracer_otel.seams import Responder

__all__ = ["next_pid"]

_made: WeakKeyDictionary[Responder, dict[str, int]] = WeakKeyDictionary()
"""How many connections were made in a replay, by database."""


def next_pid(responder: Responder, known: Sequence[Mapping[str, Any]], peer: str) -> int:
    """Give a connection the id that the recorded one had that was made in its turn; where there was none, the first's.

    Args:
        responder: gives the recorded calls.
        known: what was recorded of connections, in the order of their first calls.
        peer: the recorded database.

    Returns:
        the id; 1 where nothing is known.
    """
    made = _made.setdefault(responder, {})
    number = made.get(peer, 0)
    made[peer] = number + 1
    same = [one for one in known if one.get("peer") == peer] or known[:1]
    found = list(dict.fromkeys(_in_order(same)))
    if number < len(found):
        return found[number]
    return _pid(same[0]) if same else 1


def _in_order(known: Iterable[Mapping[str, Any]]) -> Iterator[int]:
    """Give the ids in the order in which each process made its connections: which of them asks first may be another."""
    processes: dict[str, list[tuple[int, int]]] = {}
    for one in known:
        process, _, number = str(one.get("connection", "")).rpartition("-")
        processes.setdefault(process, []).append((int(number) if number.isdigit() else 0, _pid(one)))
    for made in processes.values():
        yield from (pid for _, pid in sorted(made, key=itemgetter(0)))


def _pid(one: Mapping[str, Any]) -> int:
    return int(one.get("pid", 0)) or 1
