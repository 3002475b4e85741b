"""The two things that a mode does with a draw: note it for the lane, or give the lane what it drew when recorded."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Final, TypeAlias

import orjson

from timetracer_otel import spans
from timetracer_otel.errors import CassetteError
from timetracer_otel.nondeterminism import callers, sites
from timetracer_otel.nondeterminism.kinds import KINDS, Json, Kind, NotFit
from timetracer_otel.nondeterminism.sites import Site
from timetracer_otel.seams import Lane
from timetracer_otel.seams.branches import Branch, branch_in, current_lane, here
from timetracer_otel.seams.lanes import entered_lane, process

__all__ = ["FULL", "Given", "Index", "Noted", "attributes", "give", "live", "note"]

FULL: Final = 5000
"""How many draws a lane keeps in memory before they go to its file."""


def live(_kind: Kind, _frame: FrameType, _module: str, sample: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Draw, and do nothing with it."""
    return sample(*args, **kwargs)


# Recording


_Drawn: TypeAlias = tuple[Kind, CodeType, int, str, Branch | None, Any]
"""Kind, code and instruction that drew, its module, its branch, and the value."""


class Noted:
    """What a lane has drawn and not written yet.

    Args:
        groups: the groups of kinds that are recorded.
        full: called when there is much.
    """

    __slots__ = ("draws", "full", "groups", "taken")

    def __init__(self, groups: frozenset[str], full: Callable[[], None]) -> None:
        self.draws: list[_Drawn] = []
        self.groups = groups
        self.full = full
        self.taken = 0

    def take(self) -> list[_Drawn]:
        """Give what is there and forget it; what is added meanwhile stays."""
        count = len(self.draws)
        taken = self.draws[:count]
        del self.draws[:count]
        self.taken += count
        return taken


def note(  # noqa: PLR0913, PLR0917 - in one object they would cost every draw
    kind: Kind, frame: FrameType, module: str, sample: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Draw, and keep the value for the lane."""
    value = sample(*args, **kwargs)
    lane = entered_lane()  # the usual case of current_lane(), without its calls: a clock is read often
    if lane is None or lane.life is not process.life or lane.code_ended is not None:
        lane = current_lane()
    if lane is None or lane.draws is None:
        return value
    if module == callers.FOR_THE_APP:
        frame, module = _outwards(frame)
    noted: Any = lane.draws  # in a recording it is a Noted; asking costs what every draw would pay
    drawn: list[_Drawn] = noted.draws
    drawn.append((kind, frame.f_code, frame.f_lasti, module, here(), value))
    if len(drawn) >= FULL:
        noted.full()
    return value


def attributes(lane: Lane, noted: Noted) -> dict[str, spans.Attribute]:
    """Take a lane's draws and encode them as the payload :data:`spans.DRAWS`.

    Args:
        lane: that drew.
        noted: its draws.

    JSON: ``sites`` are pairs of module and statement; each of ``draws`` is a kind, the number of its site, the branch
    and the value; ``first`` counts the lane's draws before them; ``groups`` names what was recorded.
    """
    numbers: dict[Site, int] = {}
    draws: list[tuple[str, int, str, Json]] = []
    first = noted.taken
    for kind, code, instruction, module, branch, value in noted.take():
        number = numbers.setdefault(sites.of(code, instruction, module), len(numbers))
        draws.append((kind.name, number, branch_in(lane, branch), kind.dump(value)))
    document = {"first": first, "groups": sorted(noted.groups), "sites": list(numbers), "draws": draws}
    return spans.encode_payload(spans.DRAWS, orjson.dumps(document))


def _outwards(frame: FrameType) -> tuple[FrameType, str]:
    """The nearest frame of the app; the drawing one where there is none, as in a driver's own thread."""
    app = callers.app_frame(frame)
    if app is None:
        return frame, str(frame.f_globals.get("__name__", ""))
    module = callers.known.get(app.f_code.co_filename)
    return app, callers.classify(app) if module is None else module


# Replaying

_Key = tuple[str, Site]


class _Here:
    """The recorded draws of one kind at one site: of each branch in its order, and over all in the lane's."""

    __slots__ = ("branches", "order")

    def __init__(self) -> None:
        self.branches: dict[str, list[Json]] = {}
        self.order: list[tuple[str, int]] = []

    def add(self, branch: str, value: Json) -> None:
        values = self.branches.setdefault(branch, [])
        self.order.append((branch, len(values)))
        values.append(value)


class _Place:
    """How far a live lane is in one :class:`_Here`."""

    __slots__ = ("_next", "_overall", "here")

    def __init__(self, here: _Here) -> None:
        self.here = here
        self._next: dict[str, int] = {}
        self._overall = 0

    def take(self, branch: str) -> list[Json]:
        """The next value of a branch, in a list; an empty one behind the last.

        When the recording does not know the branch (the code was made parallel, or no longer is) the next of any.
        """
        if branch not in self.here.branches:
            branch = self._any()
        values, number = self.here.branches.get(branch, []), self._next.get(branch, 0)
        self._next[branch] = number + 1
        return values[number : number + 1]

    def _any(self) -> str:
        order = self.here.order
        while self._overall < len(order):
            branch, number = order[self._overall]
            if number >= self._next.get(branch, 0):
                return branch
            self._overall += 1
        return ""


@dataclass
class Index:
    """What a recorded lane drew, by kind and site. It never changes once built.

    Args:
        groups: that were recorded.
        by_site: the draws of each kind at each site, in order.
        zeros: of each kind of clock, the first recorded value.
    """

    groups: frozenset[str] = frozenset()
    by_site: dict[_Key, _Here] = field(default_factory=lambda: defaultdict(_Here))
    zeros: dict[str, Json] = field(default_factory=dict)

    @classmethod
    def of(cls, lanes: Iterable[Iterable[bytes]]) -> Index | None:
        """Read the payloads of a lane, or of several sessions one after the other.

        Returns:
            The index, None when there is no payload: then nothing of the kind was recorded.

        Raises:
            CassetteError: one is damaged.
        """
        index, empty = cls(), True
        try:
            for payloads in lanes:
                for document in sorted(map(orjson.loads, payloads), key=lambda one: int(one["first"])):
                    index._read(document)
                    empty = False
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise CassetteError(f"{spans.DRAWS} is damaged ({error!r}): record it again") from error
        return None if empty else index

    def _read(self, document: Mapping[str, Any]) -> None:
        self.groups |= frozenset(document["groups"])
        known = [(str(module), str(text)) for module, text in document["sites"]]
        for name, site, branch, value in document["draws"]:
            self.by_site[name, known[site]].add(branch, value)
            self.zeros.setdefault(name, value)


class Given:
    """What one live lane is given back.

    Args:
        index: of the recorded lane.
        ahead: seconds from the live lane's begin to the recorded one's.
        fresh: told the kind and site of each draw that the recording does not have.
    """

    def __init__(self, index: Index, ahead: float, fresh: Callable[[str, Site], None]) -> None:
        self.index = index
        self._ahead = ahead
        self._fresh = fresh
        self._places: dict[_Key, _Place] = {}
        self._taken: set[_Key] = set()
        self._zeros: dict[str, float] = {}
        self._lock = threading.Lock()

    def recorded(self, kind: Kind, site: Site, branch: str) -> list[Json]:
        """Use up the recorded draw that a live one is: the next of that site and branch. Empty when there is none."""
        key = (kind.name, site)
        with self._lock:
            place = self._places.get(key)
            if place is None:
                address = key if key in self.index.by_site else self._moved(key)
                place = self._places[key] = _Place(self.index.by_site.get(address) or _Here())
            return place.take(branch)

    def new(self, kind: Kind, site: Site, sample: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """A value that the recording does not have. A clock goes on from the recorded time, everything else is live."""
        if kind.group in self.index.groups:
            self._fresh(kind.name, site)
            if kind.ahead is not None:
                return kind.ahead(sample, args, kwargs, self._seconds(kind, sample))
        return sample(*args, **kwargs)

    def _seconds(self, kind: Kind, sample: Callable[..., Any]) -> float:
        if kind.clock == "wall":
            return self._ahead
        zero = self.index.zeros.get(kind.name)
        if zero is None:
            return 0.0
        if kind.name not in self._zeros:
            unit = 1e9 if kind.name.endswith("_ns") else 1.0
            self._zeros[kind.name] = (zero - sample()) / unit
        return self._zeros[kind.name]

    def _moved(self, key: _Key) -> _Key:
        """The address of a recorded statement that the program no longer has, which this new one must have been."""
        kind, (_, text) = key
        others = (one for one in self.index.by_site if one[0] == kind and one not in self._taken)
        gone = [one for one in others if not sites.still_there(one[1])]
        same_text = [one for one in gone if one[1][1] == text]
        address = (same_text or gone or [key])[0]
        self._taken.add(address)
        return address


def give(  # noqa: PLR0913, PLR0917 - as note
    kind: Kind, frame: FrameType, module: str, sample: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Give the lane what it drew here when it was recorded; else draw."""
    lane = current_lane()
    given = None if lane is None else lane.draws
    if lane is None or not isinstance(given, Given):
        return sample(*args, **kwargs)
    if module == callers.FOR_THE_APP:
        frame, module = _outwards(frame)
    site = sites.of(frame.f_code, frame.f_lasti, module)
    for value in given.recorded(kind, site, branch_in(lane, here())):
        with suppress(NotFit, ValueError, TypeError):  # a value for another call than this: it draws anew, and says so
            return kind.load(value, args, kwargs)
    return given.new(kind, site, sample, args, kwargs)


assert all(name == kind.name for name, kind in KINDS.items())  # noqa: S101 - the names are the cassette's
