"""The two things that a mode does with a draw: note it for the lane, or give the lane what it drew when recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from threading import get_ident
from types import CodeType, FrameType
from typing import Any, Final, TypeAlias, TypeVar

from timetracer_otel import encoding, spans
from timetracer_otel.nondeterminism import callers, sites
from timetracer_otel.nondeterminism.callers import LIBRARY, NOT_COUNTED, PLUMBING, Asker, asker, imports
from timetracer_otel.nondeterminism.columns import Json, Reader, pack
from timetracer_otel.nondeterminism.kinds import KINDS, Kind, NotFit, as_it_is
from timetracer_otel.nondeterminism.recorded import NO_MORE, Cursor, Here, Index, Key
from timetracer_otel.nondeterminism.sites import Site, busy
from timetracer_otel.seams import Lane, active, faults
from timetracer_otel.seams.branches import Branch, branch_in, current_lane, here
from timetracer_otel.seams.lanes import NO_CONTEXT, current_context, entered_lane, process

__all__ = ["FULL", "Given", "Noted", "attributes", "column_of", "give", "give_new", "live", "note", "rest_of_column"]

_MONOTONIC: Final = KINDS["time.monotonic"]
FULL: Final = 5000
"""How many draws a lane keeps in memory before they go to its file."""


def live(_kind: Kind, _frame: FrameType, _module: str, sample: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Draw, and do nothing with it."""
    return sample(*args, **kwargs)


_session: Lane | None = None
"""The session that drew last, of whatever process."""


def _lane_of_draw(frame: FrameType) -> Lane | None:
    """The lane that draws. An import draws once a process, in whichever lane comes first: for the session."""
    lane = entered_lane()  # the usual cases of current_lane(), without its calls: a clock is read often
    if lane is None and current_context() is NO_CONTEXT:
        lane = process.enclosing or _session
        return lane if lane is not None and lane.life is process.life else _find_session()
    if lane is None or lane.life is not process.life or lane.code_ended is not None:
        lane = current_lane()
    if imports and lane is not None and not lane.is_session and callers.importing(frame):
        runtime = active()
        return lane if runtime is None else runtime.session()
    return lane


def _find_session() -> Lane | None:
    global _session  # noqa: PLW0603 - of the process
    _session = current_lane()
    return _session


def _asked(frame: FrameType) -> int | Asker | None:
    """What :func:`sites.at` takes for a draw; None where it does not count."""
    module = callers.known.get(frame.f_code.co_filename)
    if module is None:
        module = callers.classify(frame)
    if module == PLUMBING:
        return None
    if module != LIBRARY:
        return frame.f_lasti
    outer = frame.f_back  # usually a draw of many in one function, or in a generator expression of one
    found: object = None if outer is None else outer.f_trace
    asked = found if type(found) is Asker else asker(frame)
    return None if asked is NOT_COUNTED else asked


_Column = TypeVar("_Column")
_Last: TypeAlias = tuple[CodeType | None, Kind | None, int, Asker | None, _Column]
"""The column that was drawn for last, and what tells a draw that it is for it once more, as most draws of a loop are:
the code that draws, the kind, and the instruction where that is the app's code, else the mark on its caller's frame."""


def _last(kind: Kind, frame: FrameType, asked: int | Asker, column: _Column) -> _Last[_Column]:
    told_by = (asked, None) if isinstance(asked, int) else (-1, asked)
    return frame.f_code, kind, *told_by, column


# Recording


_Address: TypeAlias = tuple[Kind, Site, Branch | None]
"""Kind, site and branch: that of a column."""


class Noted:
    """What a lane has drawn and not written yet.

    Args:
        groups: the groups of kinds that are recorded.
        full: called when there is much.
    """

    __slots__ = ("columns", "count", "full", "groups", "last", "own", "taken")

    def __init__(self, groups: frozenset[str], full: Callable[[], None]) -> None:
        self.columns: dict[_Address, list[Any]] = {}
        self.own: dict[tuple[int, int | Asker, Kind], list[Any]] = {}
        """Those of the lane's own flow once more, by what a draw knows of its site without looking it up."""
        self.last: _Last[list[Any]] = (None, None, -1, None, [])
        self.count = 0
        self.groups = groups
        self.full = full
        self.taken = 0

    def column(self, kind: Kind, frame: FrameType) -> list[Any] | None:
        """Count a draw in and give its column; None where it does not count."""
        asked = _asked(frame)
        if asked is None:
            return None
        self.count += 1
        branch = here()
        if branch is not None:
            return self.columns.setdefault((kind, sites.at(frame, asked), branch), [])
        key = (id(frame.f_code), asked, kind)
        column = self.own.get(key)
        if column is None:
            column = self.own[key] = self.columns.setdefault((kind, sites.at(frame, asked), None), [])
        self.last = _last(kind, frame, asked, column)
        return column

    def take(self) -> list[tuple[_Address, list[Any]]]:
        """Give what is there and forget it; what is added meanwhile stays."""
        taken = []
        for address, column in list(self.columns.items()):
            values = column[:]
            del column[: len(values)]
            if values:
                taken.append((address, values))
            elif address[2] is not None:
                self.columns.pop(address, None)  # of a branch that has ended, perhaps
        self.count = 0
        self.taken += sum(len(values) for _, values in taken)
        return taken


def note(kind: Kind, frame: FrameType, _module: str, sample: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Draw, and keep the value for the lane."""
    value = sample(*args, **kwargs) if kwargs else sample(*args)
    column = column_of(kind, frame)
    if column is not None:
        column.append(value)
    return value


def column_of(kind: Kind, frame: FrameType) -> list[Any] | None:
    """Count a draw in; what was drawn is for the caller to append.

    Args:
        kind: of the draw.
        frame: that draws.

    Returns:
        The lane's column for it; None where the draw does not count.
    """
    lane = entered_lane()
    if lane is None and current_context() is NO_CONTEXT:
        lane = process.enclosing or _session
    if lane is None or lane.life is not process.life or lane.code_ended is not None or imports:
        lane = _lane_of_draw(frame)
    noted = None if lane is None else lane.draws
    if type(noted) is not Noted or (busy and get_ident() in busy):
        return None
    if noted.count >= FULL:
        faults.guarded("draws.full", noted.full)
    code, last_kind, instruction, mark, column = noted.last
    if code is frame.f_code and last_kind is kind and here() is None:
        if mark is None:
            is_again = frame.f_lasti == instruction
        else:
            is_again = (outer := frame.f_back) is not None and outer.f_trace is mark
        if is_again:
            noted.count += 1
            return column
    try:
        return noted.column(kind, frame)
    except Exception as error:  # noqa: BLE001 - recording never breaks the app
        faults.report("draws.note", error)
        return None


def attributes(lane: Lane, noted: Noted) -> dict[str, spans.Attribute]:
    """Take a lane's draws and encode them as the payload :data:`spans.DRAWS`.

    Args:
        lane: that drew.
        noted: its draws.

    JSON: ``sites`` are places as :mod:`sites` names them; each of ``columns`` is a kind, the number of its site, the
    branch and the values as :mod:`columns` packs them; ``first`` counts the lane's draws before them; ``groups`` names
    what was recorded.
    """
    numbers: dict[Site, int] = {}
    columns: list[tuple[str, int, str, Json]] = []
    first = noted.taken
    for (kind, site, branch), values in noted.take():
        number = numbers.setdefault(site, len(numbers))
        written = values if kind.dump is as_it_is else list(map(kind.dump, values))
        columns.append((kind.name, number, branch_in(lane, branch), pack(written)))
    document = {"first": first, "groups": sorted(noted.groups), "sites": list(numbers), "columns": columns}
    return spans.encode_payload(spans.DRAWS, encoding.dumps(document))


# Replaying


class Given:
    """What one live lane is given back.

    Args:
        index: of the recorded lane.
        ahead: seconds from the live lane's begin to the recorded one's.
        fresh: told the kind, the site and the value of each draw that the recording does not have.
    """

    def __init__(self, index: Index, ahead: float, fresh: Callable[[Kind, Site, Any], None]) -> None:
        self.index = index
        self._ahead = ahead
        self._fresh = fresh
        self._cursors: dict[Key, Cursor] = {}
        self.own: dict[tuple[int, int | Asker, Kind], Reader] = {}
        """How far the lane's own flow is, by what a draw knows of its site without looking it up."""
        self.last: _Last[Iterator[Json]] = (None, None, -1, None, iter(()))
        self._taken: set[Key] = set()
        self._zeros: dict[str, float] = {}
        self.monotonic: tuple[float, float] | None = None
        """The reading of ``time.monotonic`` given last, and what the clock said then."""
        self._lock = threading.RLock()  # a finalizer may draw while its thread holds it

    def found(self, kind: Kind, frame: FrameType, asked: int | Asker, branch: str) -> Json:
        """Use up the recorded draw that a live one is, see :meth:`take`; ``asked`` as :func:`sites.at` takes it."""
        cursor = self.cursor(kind, sites.at(frame, asked))
        if not branch and branch in cursor.readers:
            self.own[id(frame.f_code), asked, kind] = cursor.readers[branch]
        return self.take(cursor, branch)

    def cursor(self, kind: Kind, site: Site) -> Cursor:
        """How far this lane is in what is recorded of a kind at a site."""
        key = (kind.name, site)
        known = self._cursors.get(key)
        if known is not None:
            return known
        with self._lock:
            if key not in self._cursors:
                address = key if key in self.index.by_site else self._moved(key)
                self._cursors[key] = Cursor(self.index.by_site.get(address) or Here())
            return self._cursors[key]

    def take(self, cursor: Cursor, branch: str) -> Json:
        """Use up the recorded draw that a live one is: the next of that site and branch, or :data:`NO_MORE`."""
        reader = cursor.readers.get(branch)
        value: Json = NO_MORE if reader is None else next(reader.values, NO_MORE)
        if value is not NO_MORE:
            return value
        with self._lock:
            return cursor.take(branch)

    def new(self, kind: Kind, site: Site, sample: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """A value that the recording does not have. A clock goes on from the recorded time, everything else is live."""
        if kind.group not in self.index.groups:
            return sample(*args, **kwargs)
        if kind.ahead is None:
            value = sample(*args, **kwargs)
        else:
            value = kind.ahead(sample, args, kwargs, self._seconds(kind, sample))
        self._fresh(kind, site, value)
        return value

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

    def _moved(self, key: Key) -> Key:
        """The address of a recorded statement that the program no longer has, which this new one must have been.

        One that reads alike is that also where its module is still on the disk, but this program has not imported it: a
        copy of the program under another name.
        """
        kind, site = key
        others = [
            one
            for one in self.index.by_site
            if one[0] == kind and one not in self._taken and sites.by_same_library(one[1], site)
        ]
        same_text = [one for one in others if one[1][1] == site[1] and not sites.runs(one[1])]
        gone = same_text or [one for one in others if not sites.still_there(one[1])]
        address = (gone or [key])[0]
        self._taken.add(address)
        return address


def rest_of_column(kind: Kind, frame: FrameType) -> Iterator[Json] | None:
    """The values that are left to a draw of a lane's own flow that has been there before, as most draws of a loop have.

    Args:
        kind: of the draw.
        frame: that draws.

    Returns:
        None where the draw is any other one, which is :func:`give`'s.
    """
    lane = entered_lane()
    if lane is None and current_context() is NO_CONTEXT:
        lane = process.enclosing or _session
    if lane is None or lane.life is not process.life or lane.code_ended is not None or imports:
        return None
    given = lane.draws
    if type(given) is not Given or (busy and get_ident() in busy) or here() is not None:
        return None
    code, last_kind, instruction, mark, values = given.last
    if code is frame.f_code and last_kind is kind:
        if mark is None:
            is_again = frame.f_lasti == instruction  # the caller's frame would have to be made into an object first
        else:
            is_again = (outer := frame.f_back) is not None and outer.f_trace is mark
        if is_again:
            return values
    reader = given.own.get((id(frame.f_code), frame.f_lasti, kind))
    if reader is None:
        return None
    given.last = _last(kind, frame, frame.f_lasti, reader.values)
    return reader.values


def give(  # noqa: PLR0913, PLR0917 - as note
    kind: Kind, frame: FrameType, module: str, sample: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Give the lane what it drew here when it was recorded; else draw."""
    lane = _lane_of_draw(frame)
    given = None if lane is None else lane.draws
    if lane is None or type(given) is not Given or (busy and get_ident() in busy):
        return sample(*args, **kwargs)
    asked: Any
    if module == LIBRARY:
        outer = frame.f_back  # as in _asked
        asked = None if outer is None else outer.f_trace
        if type(asked) is not Asker:
            asked = asker(frame)
        if asked is NOT_COUNTED:
            return sample(*args, **kwargs)
    else:
        asked = frame.f_lasti
    branch = here()
    reader = given.own.get((id(frame.f_code), asked, kind)) if branch is None else None
    value: Json = NO_MORE if reader is None else next(reader.values, NO_MORE)
    if value is NO_MORE:
        value = given.found(kind, frame, asked, branch_in(lane, branch))
    elif reader is not None:
        given.last = _last(kind, frame, asked, reader.values)
    if value is not NO_MORE:
        if kind is _MONOTONIC:
            given.monotonic = value, sample()
        try:
            return kind.load(value, args, kwargs)
        except (NotFit, ValueError, TypeError, KeyError):
            pass  # recorded for another call: it draws anew
    return given.new(kind, sites.at(frame, asked), sample, args, kwargs)


def give_new(kind: Kind, frame: FrameType, sample: Callable[..., Any], args: Any) -> Any:
    """Draw where a value of :func:`rest_of_column` does not fit, as :func:`give` does."""
    lane, asked = _lane_of_draw(frame), _asked(frame)
    given = None if lane is None else lane.draws
    if type(given) is not Given or asked is None:
        return sample(*args)
    return given.new(kind, sites.at(frame, asked), sample, args, {})


assert all(name == kind.name for name, kind in KINDS.items())  # noqa: S101 - the names are the cassette's
