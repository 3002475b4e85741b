"""Sending recorded requests to a running app, several at a time."""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.shelf import Outline, Shelf
from timetracer_otel.errors import CassetteError
from timetracer_otel.replay import journal
from timetracer_otel.replay.comparing.calls import Notes
from timetracer_otel.replay.comparing.differences import Difference
from timetracer_otel.replay.comparing.responses import compare_response, recorded_reply
from timetracer_otel.replay.verifying.client import Stay, Target, hidden_places, recorded_request
from timetracer_otel.replay.verifying.sending import send

__all__ = ["Driven", "Order", "drive", "grouped", "progress", "sharded"]

Order: TypeAlias = Literal["recorded", "cookies"]
_CALLS_SECONDS: Final = 2.0
"""How long a client that leaves waits for calls that the app had made by then, when it was recorded."""
_POLL: Final = 0.05
Group: TypeAlias = Sequence[Outline]
"""Requests that are sent one after the other."""


@dataclass(frozen=True, slots=True)
class Driven:
    """A request that was sent.

    Attributes:
        outline: the recorded lane.
        seconds: until the response was there.
        differences: of its response.
        answered: whether there was a response.
        left: whether it was left before its end, as by the recorded client.
        as_far: whether the app had made by then all calls that the recorded one had made.
        hidden: secrets of the request that are not known here, and why not; see :func:`client.hidden_places`.
    """

    outline: Outline
    seconds: float
    differences: tuple[Difference, ...]
    answered: bool = True
    left: bool = False
    as_far: bool = False
    hidden: Mapping[str, str] = field(default_factory=dict)


def grouped(lanes: Sequence[Outline], order: Order) -> list[Group]:
    """Part lanes into groups of which each is sent in its order; groups may run beside one another.

    Args:
        lanes: in recorded order.
        order: ``recorded`` starts each after the one before; ``cookies`` keeps those of one Cookie header in order.
    """
    if order == "recorded":
        return [[lane] for lane in lanes]
    groups: dict[str, list[Outline]] = {}
    for lane in lanes:
        groups.setdefault(lane.group or lane.id, []).append(lane)
    return list(groups.values())


def sharded(groups: Sequence[Group], shard: tuple[int, int]) -> list[Group]:
    """Give one of several equal parts.

    Args:
        groups: all of them.
        shard: its number from 1, and how many there are.
    """
    return list(groups[shard[0] - 1 :: shard[1]])


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on stderr while something is done, if that is a terminal.

    Args:
        total: how many steps there are.

    Yields:
        What is to be called after each step.
    """
    columns = (TextColumn("verify"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    with bar:
        task = bar.add_task("", total=total)
        yield lambda: bar.advance(task)


def drive(  # noqa: PLR0913 - what to send, where to and how
    groups: Sequence[Group],
    targets: Sequence[Target],
    shelf: Shelf,
    *,
    concurrency: int,
    headers: Sequence[tuple[str, str]],
    timeout: float,
    folder: Path,
    step: Callable[[], None],
) -> list[Driven]:
    """Send everything, and compare each response as it comes; what nobody takes any more is left out.

    Args:
        groups: see :func:`grouped`.
        targets: the running apps, which take turns.
        shelf: where the recorded lanes are.
        concurrency: how many requests are under way at a time.
        headers: sent instead of the recorded ones of their names.
        timeout: seconds until a response must have ended.
        folder: where the apps keep their journals.
        step: called after each response.
    """
    waiting, done, stop = deque(groups), list[Driven](), threading.Event()

    def work(target: Target) -> None:
        while not stop.is_set():
            try:
                group = waiting.popleft()
            except IndexError:
                return
            for outline in group:
                try:
                    done.append(_one(outline, lambda one: _exchange(one, target, shelf, headers, timeout, folder)))
                except ConnectionRefusedError:  # nobody listens any more, and nobody will
                    return
                step()

    threads = [
        threading.Thread(target=work, args=(targets[n % len(targets)],), daemon=True) for n in range(concurrency)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
    return done


def _one(outline: Outline, exchange: Callable[[Outline], Driven]) -> Driven:
    began = time.perf_counter()
    try:
        return exchange(outline)
    except ConnectionRefusedError:
        raise
    except TimeoutError:
        differences = (Difference("error", "no response in time (--timeout)"),)
    except (OSError, http.client.HTTPException) as error:
        differences = (Difference("error", f"no response: {type(error).__name__}{': ' if str(error) else ''}{error}"),)
    except CassetteError as error:
        differences = (Difference("error", str(error)),)
    return Driven(outline, time.perf_counter() - began, differences, answered=False)


def _exchange(  # noqa: PLR0913, PLR0917 - as drive
    outline: Outline, target: Target, shelf: Shelf, headers: Sequence[tuple[str, str]], timeout: float, folder: Path
) -> Driven:
    lane = shelf.lane(outline.id)
    if lane is None or lane.entry is None:
        raise CassetteError("holds no request: record it again", file=outline.files[0])
    hidden = hidden_places(lane.entry)
    request = recorded_request(lane.entry, lane.id, headers)
    began, leaving = time.perf_counter(), _LeavingClient(lane, folder)
    try:
        live = send(target, request, timeout, leaving.wait)
    finally:
        if request.stay is not None:
            journal.leave(folder, lane.id)
    differences = tuple(compare_response(outline.method, recorded_reply(lane.entry), live))
    left = request.stay is not None
    return Driven(outline, time.perf_counter() - began, differences, left=left, as_far=leaving.as_far, hidden=hidden)


@dataclass(slots=True)
class _LeavingClient:
    """A client that is about to leave, as the recorded one did.

    Attributes:
        lane: the recorded one.
        folder: where the apps keep their journals.
        as_far: whether the app has made the calls that it had made when the recorded client left.
    """

    lane: Lane
    folder: Path
    as_far: bool = False

    def wait(self, stay: Stay, until: float) -> None:
        """Wait until the app has come as far, for a while only."""
        wanted = {call.span_id for call in self.lane.calls if call.start < stay.until}
        until = min(until, time.monotonic() + _CALLS_SECONDS)
        while not self.as_far:
            wanted -= {note["span"] for note in Notes(journal.read(self.folder)).lanes[self.lane.id].answered}
            self.as_far = not wanted
            if time.monotonic() >= until:
                return
            time.sleep(0 if self.as_far else _POLL)
