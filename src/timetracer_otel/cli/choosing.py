"""Which lanes of a list are wanted, and in what order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Final, Literal, TypeAlias

from timetracer_otel.cli.listing import Listing
from timetracer_otel.cli.summary import Summary
from timetracer_otel.errors import CassetteError, ConfigError

__all__ = ["Sort", "Wanted", "duration_ms", "moment", "statuses"]

Sort: TypeAlias = Literal["newest", "oldest", "slowest", "calls"]
_SORTS: Final[dict[str, Callable[[Summary], tuple[float, str]]]] = {
    "slowest": lambda one: (-one.duration_ms, one.lane_id),
    "calls": lambda one: (-one.calls, one.lane_id),
}
_UNITS: Final = {"ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_STATUS: Final = re.compile(r"([1-5])xx|(\d{1,3})(?:-(\d{1,3}))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a lane must be to be listed; each part that is not given takes every lane.

    Attributes:
        route: a glob for the target, its path, or one of them after the method: ``/orders/*``, ``POST /login``.
        status: the lowest and the highest status.
        failed: only those of which :attr:`Summary.has_failed` is true.
        slower_ms: only what took at least as long.
        since: only what began then or later, in nanoseconds since 1970.
        until: only what began before.
        service: only what a service of that name recorded.
        text: only what has it, in any case of its letters, in a request, a response or a decoded call.
    """

    route: str = ""
    status: tuple[int, int] | None = None
    failed: bool = False
    slower_ms: float = 0.0
    since: int | None = None
    until: int | None = None
    service: str = ""
    text: str = ""

    def chosen(self, listing: Listing, sort: Sort, limit: int | None) -> Iterator[Summary]:
        """Give the summaries that are wanted, in order.

        Args:
            listing: all lanes and sessions.
            sort: by what; among equals by id.
            limit: how many at most; None for all.

        Raises:
            CassetteError: a file cannot be read any more, where texts are looked for.
        """
        by_time = sort in {"newest", "oldest"}
        summaries = listing.summaries(oldest_first=sort == "oldest")
        found: Iterable[Summary] = summaries if self == Wanted() else filter(self.takes, summaries)
        most = None if limit is None else min(limit, len(listing.rows))
        return islice(found if by_time else iter(sorted(found, key=_SORTS[sort])), most)

    def takes(self, one: Summary) -> bool:
        """Whether a summary is wanted."""
        return (
            (not self.route or _is_of(one, self.route))
            and (self.status is None or (one.status is not None and self.status[0] <= one.status <= self.status[1]))
            and (not self.failed or one.has_failed)
            and one.duration_ms >= self.slower_ms
            and (self.since is None or one.start >= self.since)
            and (self.until is None or one.start < self.until)
            and (not self.service or one.service == self.service)
            and (not self.text or _holds(one, self.text))
        )


def _holds(one: Summary, text: str) -> bool:
    from timetracer_otel.cli import searching  # noqa: PLC0415 - imports every integration

    left_out: list[CassetteError] = []  # the listing has told it
    places = searching.search([Path(one.file)], text, left_out)
    return any(place.lane["lane_id"] == one.lane_id for place in places)


def _is_of(one: Summary, route: str) -> bool:
    path = one.target.partition("?")[0]
    names = [one.target, path, f"{one.method} {one.target}", f"{one.method} {path}"]
    return any(fnmatchcase(name, route) for name in names)


def statuses(text: str) -> tuple[int, int]:
    """Read ``404``, ``5xx`` or ``400-499``.

    Raises:
        ConfigError: it is none of them.
    """
    match = _STATUS.fullmatch(text.strip().lower())
    if match is None:
        raise ConfigError(f"--status {text}: give one such as 404, 5xx or 400-499")
    if match[1]:
        return int(match[1]) * 100, int(match[1]) * 100 + 99
    return int(match[2]), int(match[3] or match[2])


def duration_ms(option: str, text: str) -> float:
    """Read ``250ms``, ``1.5s``, ``10m``, ``2h`` or ``7d``.

    Args:
        option: that was given.
        text: with it.

    Raises:
        ConfigError: it is none of them.
    """
    match = _DURATION.fullmatch(text.strip().lower())
    if match is None:
        raise ConfigError(f"{option} {text}: give a number and its unit, such as 250ms, 1.5s, 10m, 2h or 7d")
    return float(match[1]) * _UNITS[match[2]]


def moment(option: str, text: str, now: datetime) -> int:
    """Read a time, in ISO 8601 (UTC where it names no zone), or how long ago it was.

    Args:
        option: that was given.
        text: with it.
        now: the present, in UTC.

    Returns:
        Nanoseconds since 1970.

    Raises:
        ConfigError: it is neither.
    """
    if _DURATION.fullmatch(text.strip().lower()):
        try:
            told = now - timedelta(milliseconds=duration_ms(option, text))
        except OverflowError:
            raise ConfigError(f"{option} {text}: there was no such time") from None
    else:
        try:
            told = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ConfigError(f"{option} {text}: give 2026-11-21T14:00, or how long ago: 30m, 7d") from None
    return int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp() * 1e9)
