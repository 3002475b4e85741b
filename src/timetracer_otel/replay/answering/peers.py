"""Peers that the app calls by other names than when it was recorded: each new name stands for one recorded peer.

They bind as ids do, one to one: a name that was never recorded stands for the peer whose recorded call it first asks
for, to the end of the lane. What the user says outright comes before that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from timetracer_otel.config import Host
from timetracer_otel.replay.answering.matching import Matcher
from timetracer_otel.seams import Description

__all__ = ["Names", "Peers", "renamed"]

_T = TypeVar("_T")
_PORTS: Final = {"http": 80, "https": 443}
_NEVER: Final = 1 << 63
"""A time behind all calls."""


class _Origin(NamedTuple):
    """An origin, or what the user says of one.

    Attributes:
        scheme: empty where it may be any.
        host: in lower case.
        port: None where it may be any.
    """

    scheme: str
    host: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port in {None, _PORTS.get(self.scheme)} else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def _origin(text: str) -> _Origin:
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        return _Origin(parts.scheme, parts.hostname or "", parts.port)
    except ValueError:  # http.client takes hosts that make no URL; such a one is like no other
        return _Origin("", "", None)


class Names:
    """The names of peers in a process of a replay.

    Args:
        hosts: the pairs that the user gives.
        recorded: whether a peer was recorded by that name, in any lane.
        note: told of a name and the recorded peer that it stands for, once.
    """

    def __init__(
        self, hosts: Sequence[Host], recorded: Callable[[str], bool], note: Callable[[str, str], None]
    ) -> None:
        pairs = [(_origin(one.name), _origin(one.recorded)) for one in hosts]
        self._given = sorted(pairs, key=lambda pair: pair[0].port is None)  # the more special first
        self.was_recorded = recorded
        self.usual: dict[str, str] = {}
        """What a name stood for in the lane before."""
        self._note = note

    def given(self, peer: str, matchers: Sequence[Matcher]) -> str | None:
        """Give the recorded peer that the user says a name stands for; None when nothing is said of it.

        Args:
            peer: the name.
            matchers: of the followed lane and of the session.
        """
        if not self._given:
            return None
        live, recorded = _origin(peer), recorded_peers(matchers)
        live = live._replace(port=live.port or _PORTS.get(live.scheme))
        for name, meant in self._given:
            if name.host == live.host and name.scheme in {"", live.scheme} and name.port in {None, live.port}:
                schemes = (meant.scheme,) if meant.scheme else (live.scheme, *_PORTS)
                found = [str(meant._replace(scheme=scheme)) for scheme in schemes]
                return next((one for one in found if one in recorded), found[0])
        return None

    def stands_for(self, peer: str, recorded: str) -> None:
        """Take note of what a name stands for."""
        if self.usual.get(peer) != recorded:
            self.usual[peer] = recorded
            self._note(peer, recorded)


@dataclass
class Peers:
    """The peers of one live lane.

    Args:
        names: of the process.
    """

    names: Names
    _bound: dict[str, str] = field(default_factory=dict)
    _as_recorded: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def meant(self, asked: Description, matchers: Sequence[Matcher]) -> Description:
        """Give a call as it asks the recorded peer that the name of its own is known to stand for.

        Args:
            asked: the live call.
            matchers: of the followed lane and of the session.
        """
        known = self._bound.get(asked.peer) or self.names.given(asked.peer, matchers)
        return asked if known is None else asked.at(known)

    def others(self, asked: Description, matchers: Sequence[Matcher]) -> Iterator[Description]:
        """Give what a call may mean whose peer was never recorded: the same of each recorded peer that has no name yet.

        The one that the name stood for in another lane comes first, then one of the same port or first label, then that
        whose recorded call is next.

        Args:
            asked: the live call.
            matchers: of the followed lane and of the session.
        """
        if (known := self._bound.get(asked.peer)) is not None:  # by another thread meanwhile
            yield asked.at(known)
        elif self._is_new(asked.peer, matchers):
            taken = {*self._bound.values(), *self._as_recorded}
            usual = self.names.usual.get(asked.peer)
            free = [peer for peer in dict.fromkeys([usual, *recorded_peers(matchers)]) if peer and peer not in taken]
            found = [
                (peer != usual, not _alike(asked.peer, peer), _next(asked.at(peer), matchers), peer) for peer in free
            ]
            yield from (asked.at(peer) for *_, peer in sorted(found, key=lambda one: one[:3]))

    def _is_new(self, peer: str, matchers: Sequence[Matcher]) -> bool:
        return peer not in recorded_peers(matchers) and not self.names.was_recorded(peer)

    def settle(self, peer: str, recorded: str) -> None:
        """Take note that a call to a peer was answered by one to a recorded peer.

        Args:
            peer: as the app calls it.
            recorded: as it was recorded.
        """
        if peer == recorded:
            self._as_recorded.add(peer)
        else:
            self._bound[peer] = recorded
            self.names.stands_for(peer, recorded)

    def at_address(self, asked: Description, matchers: Sequence[Matcher]) -> Description:
        """Give a call that nothing answers as it is to be compared: of a new name, at the only peer with its address.

        Args:
            asked: the live call.
            matchers: of the followed lane and of the session.
        """
        meant = self.meant(asked, matchers)
        others = self.others(asked, matchers) if meant is asked else ()
        there = [one for one in others if any(one.key in matcher.index.by_key for matcher in matchers)]
        return there[0] if len(there) == 1 else meant

    def hint(self, asked: Description, matchers: Sequence[Matcher]) -> str:
        """Say of a miss that its peer was not recorded, where that may be why."""
        recorded = list(recorded_peers(matchers))
        if (bound := self._bound.get(asked.peer)) is not None:
            return f". {asked.peer} stands for {bound} in this lane, and for no other"
        if not recorded or not self._is_new(asked.peer, matchers):
            return ""
        return (
            f". {asked.peer} was not recorded: if it stands for one of {', '.join(recorded[:5])}, "
            "TIMETRACER_HOSTS=new=recorded says so"
        )


def _alike(peer: str, recorded: str) -> bool:
    """Whether a port that somebody chose, or the first label of a name, is the same."""
    mine, theirs = _origin(peer), _origin(recorded)
    first = mine.host.partition(".")[0]
    same_label = not first.isdigit() and first == theirs.host.partition(".")[0]
    return same_label or (mine.port is not None and mine.port == theirs.port)


def recorded_peers(matchers: Sequence[Matcher]) -> Mapping[str, None]:
    """The peers of some recorded lanes, in order of the first call to each."""
    return {peer: None for matcher in matchers for peer in matcher.index.peers}


def _next(asked: Description, matchers: Sequence[Matcher]) -> int:
    """When the recorded call began that would answer next."""
    found = [call.span.start for matcher in matchers if (call := matcher.upcoming(asked)) is not None]
    return min(found, default=_NEVER)


def renamed(request: Mapping[str, _T], live: str, recorded: str) -> dict[str, _T | str]:
    """Give a live request with the recorded name of its peer.

    Args:
        request: its attributes, or it as people see it.
        live: the peer's name.
        recorded: its recorded one.
    """
    if live == recorded:
        return dict(request)
    return {
        name: recorded + value[len(live) :] if isinstance(value, str) and value.startswith(live) else value
        for name, value in request.items()
    }
