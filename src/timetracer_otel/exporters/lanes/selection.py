"""Which lanes are kept: the settings, compiled once, asked when a lane begins and again when it ends."""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from fnmatch import translate
from typing import TYPE_CHECKING, Final, Protocol

from timetracer_otel import redaction
from timetracer_otel.config import Rule, Settings

if TYPE_CHECKING:
    from timetracer_otel.seams import Entry

__all__ = ["Selection"]

_ROUTE_SIGNS: Final = re.compile(r"[<{]")


class _Lane(Protocol):
    id: str
    error: BaseException | None
    failed: bool
    took: int
    triggered: bool
    share: float | None

    @property
    def entry(self) -> Entry | None: ...
    def route(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class _Compiled:
    method: str
    matches: re.Pattern[str]
    by_route: bool
    share: float

    @classmethod
    def of(cls, rule: Rule) -> _Compiled:
        by_route = _ROUTE_SIGNS.search(rule.pattern) is not None
        return cls(rule.method, re.compile(translate(rule.pattern)), by_route, rule.share)


class Selection:
    """Decides about lanes.

    What comes first counts: excluded paths, the trigger header, then what ``errors_only`` and ``slow_ms`` ask for, of
    which one is enough, then the share of the first rule that matches, else the sample rate.

    Args:
        settings: the settings in force.

    Attributes:
        everything: whether each lane is kept that is not excluded: nothing else needs to be asked.
        timed: whether it must be known how long a lane took.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._excluded = settings.exclude_paths
        self._rules = tuple(map(_Compiled.of, settings.rules))
        self._trigger = settings.trigger_header[0] if settings.trigger_header else ""
        self._secret = settings.trigger_header[1].encode() if len(settings.trigger_header) > 1 else None
        self._slow_ns = int(settings.slow_ms * 1_000_000)
        self.timed = bool(self._slow_ns)
        self._filters = settings.errors_only or self.timed
        self.everything = not self._rules and not self._filters and settings.sample_rate >= 1.0 and not self._trigger

    def excludes(self, entry: Entry) -> bool:
        """Whether an entry is not to be recorded at all."""
        return bool(self._excluded) and entry.path.startswith(self._excluded)

    def begins(self, lane: _Lane) -> bool:
        """Whether a lane that begins may be kept in the end; notes on it what is known already."""
        entry = lane.entry
        if entry is None or self.everything:
            return True
        if self._trigger and self._triggers(entry):
            lane.triggered = True
            return True
        lane.share = self._share_by_path(entry)
        return lane.share is None or _chance(lane.id) < lane.share

    def ends(self, lane: _Lane) -> bool:
        """Whether a lane that has ended is kept."""
        if self.everything or lane.triggered:
            return True
        if self._filters and not (self._is_slow(lane) or (self._settings.errors_only and _has_failed(lane))):
            return False
        if lane.share is not None or lane.entry is None:
            return True
        return _chance(lane.id) < self._share_by_route(lane.entry, lane.route())

    def stands_out(self, lane: _Lane) -> bool:
        """Whether a lane is one that is given up last: triggered, failed, or slow where slow ones are asked for."""
        return lane.triggered or _has_failed(lane) or self._is_slow(lane)

    def _is_slow(self, lane: _Lane) -> bool:
        return self.timed and lane.took >= self._slow_ns

    def _triggers(self, entry: Entry) -> bool:
        value = entry.header(self._trigger)
        if value is None:
            return False
        if self._secret is None:
            return True
        # The secret stays out of the cassette; the app has the header as it was sent.
        entry.hide_header(self._trigger, redaction.MASK)
        return hmac.compare_digest(value.encode("utf-8", "surrogateescape"), self._secret)

    def _share_by_path(self, entry: Entry) -> float | None:
        """Give the share of an entry; None when only its route will tell."""
        path = entry.path
        for rule in self._rules:
            if rule.method and rule.method != entry.method:
                continue
            if rule.by_route:
                return None
            if rule.matches.match(path):
                return rule.share
        return self._settings.sample_rate

    def _share_by_route(self, entry: Entry, route: str | None) -> float:
        path = entry.path
        for rule in self._rules:
            subject = route if rule.by_route else path
            if rule.method in {"", entry.method} and subject is not None and rule.matches.match(subject):
                return rule.share
        return self._settings.sample_rate


def _has_failed(lane: _Lane) -> bool:
    return lane.failed or lane.error is not None or (lane.entry is not None and lane.entry.failed)


def _chance(lane_id: str) -> float:
    """Give a number from 0 to 1 that is the lane's own: every decision about it agrees."""
    return int(lane_id[:8], 16) / 2**32
