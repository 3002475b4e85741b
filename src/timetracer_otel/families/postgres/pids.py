"""The ids of the server's processes that a replay's connections are told, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    number = made[peer] = made.get(peer, 0) + 1
    same = [one for one in known if one.get("peer") == peer] or known[:1]
    pids = list(dict.fromkeys(int(one.get("pid", 0)) or 1 for one in sorted(same, key=_place(same))))
    return pids[number - 1] if number <= len(pids) else next((int(one.get("pid", 0)) or 1 for one in same), 1)


def _place(known: Sequence[Mapping[str, Any]]) -> Any:
    """Sort by the order in which a process made its connections: which of them asks first may be another one."""
    processes = list(dict.fromkeys(_split(one)[0] for one in known))

    def key(one: Mapping[str, Any]) -> tuple[int, int]:
        process, number = _split(one)
        return processes.index(process), number

    return key


def _split(one: Mapping[str, Any]) -> tuple[str, int]:
    process, _, number = str(one.get("connection", "")).rpartition("-")
    return process, int(number) if number.isdigit() else 0
