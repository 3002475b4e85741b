"""``timetracer-replay --verify``: every recorded request is sent again, and response and calls are compared."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from timetracer_otel.cassette.shelf import Catalog, Outline, Shelf
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay import journal
from timetracer_otel.replay.commands import Command
from timetracer_otel.replay.comparing import ignore
from timetracer_otel.replay.comparing.calls import Notes
from timetracer_otel.replay.comparing.results import Result
from timetracer_otel.replay.comparing.started_processes import StartedProcesses
from timetracer_otel.replay.verifying import inside, learning, scripts, verdicts
from timetracer_otel.replay.verifying.client import Target, parse_url
from timetracer_otel.replay.verifying.driver import Driven, drive, grouped, progress, sharded
from timetracer_otel.replay.verifying.options import Options
from timetracer_otel.replay.verifying.process import App, accepts

__all__ = ["learn", "verify"]

_SETTLE_SECONDS: Final = 2.0
"""How long calls are waited for that a response did not wait for: those of background tasks."""
_PROCESSES_SECONDS: Final = 15.0
"""At most, while processes run that requests started: an interpreter takes its time to start."""
_POLL: Final = 0.02
_NAMED: Final = 5


def verify(found: Catalog, options: Options) -> Result:
    """Replay everything, and compare.

    Args:
        found: what the cassettes hold.
        options: how.

    Raises:
        ConfigError: the options do not fit what the cassettes hold.
        CassetteError: a cassette cannot be read.
    """
    began = time.perf_counter()
    found = _of_service(found, options.service)
    drivable = [lane for lane in found.lanes if lane.is_drivable and not scripts.takes(lane)]
    driver = _driver(found, drivable, options) if drivable else None
    taken = {lane.id for lane in drivable if driver is not None and driver.takes(lane)}
    undriven = [lane for lane in found.lanes if lane.id not in taken][options.shard[0] - 1 :: options.shard[1]]
    result = Result()
    with tempfile.TemporaryDirectory(prefix="timetracer-") as folder:
        if driver is not None:
            result = driver.run(found, options, Path(folder))
        elif found.sessions or not undriven:
            undriven = [lane for lane in undriven if not scripts.takes(lane)]
            how = _start_only if Command.of(options.command).serves else scripts.run
            result = how(found, options, Path(folder))
    verified = {one.lane for one in result.verified}
    result.verified += verdicts.undriven([lane for lane in undriven if lane.id not in verified], Shelf(found))
    compared = [options.ignored.apply(one) for one in result.verified]
    result.verified = [one for one, _hidden in compared]
    result.ignored = sum(hidden for _one, hidden in compared)
    result.seconds = time.perf_counter() - began
    return result


@dataclass(frozen=True, slots=True)
class _Driver:
    """A way to start recorded entries again.

    Attributes:
        takes: whether a lane is driven in this way.
        run: drives all of them.
    """

    takes: Callable[[Outline], bool]
    run: Callable[[Catalog, Options, Path], Result]


def _driver(found: Catalog, drivable: Sequence[Outline], options: Options) -> _Driver:
    """Choose how the command is driven. Where entries of both ways were recorded, what the command does first tells."""
    ways = [way for way in (_OUTSIDE, _INSIDE) if any(map(way.takes, drivable))]
    if len(ways) == 1:
        return ways[0]
    requests = {lane.id for lane in drivable if _OUTSIDE.takes(lane)}
    if len(requests) + len(inside.to_come(found, requests)) == len(drivable):
        return _OUTSIDE  # one program takes both
    return _OUTSIDE if options.url or Command.of(options.command).serves or _listens(found, options) else _INSIDE


def _listens(found: Catalog, options: Options) -> bool:
    """Whether the command listens, and does not take entries by itself; it is started to find out."""
    with (
        tempfile.TemporaryDirectory(prefix="timetracer-") as folder,
        App(options.command, options.environment(found, Path(folder)), Path(folder) / "app.log") as app,
    ):
        listening = app.wait_listening(options.wait, lambda: bool(Notes(journal.read(Path(folder))).drives))
        return listening is not None


def learn(found: Catalog, options: Options, file: Path) -> Result:
    """Replay everything twice against the unchanged app, and write what differed as a proposed ignore list.

    Args:
        found: what the cassettes hold.
        options: how; what its ignore list hides stays in the list.
        file: the list to write.

    Returns:
        The second run, compared by the new list.

    Raises:
        ConfigError: the list cannot be written, or as :func:`verify`.
        CassetteError: as :func:`verify`.
    """
    runs = [verify(found, options) for _ in range(2)]
    lanes = Shelf(_of_service(found, options.service), opened=True).lanes
    proposed, refused = learning.propose(
        [run.verified for run in runs], lambda values: learning.used_values(values, lanes), options.ignored
    )
    ignore.write(file, proposed, refused)
    result = runs[-1]
    compared = [proposed.apply(one) for one in result.verified]
    new = len(proposed.entries) - len(options.ignored.entries)
    return replace(
        result,
        verified=[one for one, _hidden in compared],
        ignored=sum(hidden for _one, hidden in compared),
        notes=[*result.notes, f"{new} new entries proposed in {file}, {len(refused)} refused: review them"],
    )


def _of_service(found: Catalog, service: str) -> Catalog:
    known = sorted({lane.service for lane in found.lanes if lane.is_drivable})
    if service:
        if found.lanes and service not in known:
            raise ConfigError(f"--service {service}: recorded are {', '.join(known)}")
        return found.only(service)
    if len(known) > 1:
        raise ConfigError(
            f"the cassettes hold requests of several services: choose one with --service ({', '.join(known)})"
        )
    return found


def _requests(found: Catalog, options: Options, folder: Path) -> Result:
    """Drive the app with the recorded requests."""
    lanes = list(filter(_OUTSIDE.takes, found.lanes))
    groups = sharded(grouped(lanes, options.order), options.shard)
    if not groups:
        raise ConfigError(f"--shard {options.shard[0]}/{options.shard[1]}: there are fewer requests than parts")
    sent = [lane for group in groups for lane in group]
    shelf, result = Shelf(found, opened=True), Result()
    env = options.environment(found, folder)
    given = _given_target(options)
    with ExitStack() as running:
        apps = _started(options, env, folder, running)
        targets = list(_listening(apps, given, options.wait, result))
        driven, died = list[Driven](), False
        if targets:
            began = time.perf_counter()
            with progress(len(sent)) as step:
                driven = drive(
                    groups,
                    targets,
                    shelf,
                    concurrency=max(options.concurrency, len(targets)),
                    headers=options.headers,
                    timeout=options.timeout,
                    folder=folder,
                    step=step,
                )
            result.sending = time.perf_counter() - began
            ids = {one.outline.id for one in driven}
            _settle(folder, ids, inside.to_come(found, ids))
            result.problems += [
                f"the command ended with status {app.exit_status} in the middle; {app.words}"
                for app in apps
                if app.ended
            ]
            died = any(app.ended for app in apps)
    notes = Notes(journal.read(folder))
    if died:  # what it was sent behind its end it cannot have seen
        driven = [one for one in driven if one.answered or notes.lanes[one.outline.id].opened]
    taken = {one.outline.id for one in driven}
    result.not_sent = [lane.name for lane in sent if lane.id not in taken]
    if result.not_sent and not result.problems:
        result.problems.append("the command took no connections any more")
    started = StartedProcesses(notes)
    result.verified = list(verdicts.compared(sent, driven, notes, started, options.unused))
    result.verified += inside.beside(found, notes, started, options)
    result.problems += started.apart({""})
    result.notes += verdicts.remarks(notes, sent) + _hidden(driven, options)
    return result


def _start_only(found: Catalog, options: Options, folder: Path) -> Result:
    """Start a server of which no request was recorded: whether it starts is all that there is to tell."""
    result = Result()
    with ExitStack() as running:
        apps = _started(options, options.environment(found, folder), folder, running)
        if list(_listening(apps, _given_target(options), options.wait, result)):
            result.problems.append("no request of this server was recorded: there is nothing to verify")
    return result


def _started(options: Options, env: Mapping[str, str], folder: Path, running: ExitStack) -> list[App]:
    """Start the instances."""
    logs = [options.log or folder / f"app-{number}.log" for number in range(options.workers)]
    return [running.enter_context(App(options.command, env, log)) for log in logs]


def _given_target(options: Options) -> Target | None:
    """Where the command says that it will listen. Nobody else may be there: what is sent may be more than reads."""
    if not options.url:
        return None
    if options.workers > 1:
        raise ConfigError("--url names one port: leave it out, or --workers")
    target = parse_url(options.url)
    if accepts(target):
        raise ConfigError(f"--url {options.url}: something listens there already, before the command is started")
    return target


def _listening(apps: Sequence[App], given: Target | None, wait: float, result: Result) -> Iterator[Target]:
    """Give where each instance listens; of one that does not, say so."""
    for app in apps:
        target = app.wait_listening(wait) if given is None else app.wait_accepting(given, wait)
        if target is not None:
            yield target
            continue
        what = (
            f"ended with status {app.exit_status} before it listened"
            if app.ended
            else f"did not listen within {wait:g} s"
        )
        result.problems.append(f"the server never started: the command {what}; {app.words}")


def _settle(folder: Path, lanes: set[str], to_come: set[str]) -> None:
    """Wait for the calls that come after the responses, as long as any may still come, and for entries beside them."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < _PROCESSES_SECONDS:
        notes = Notes(journal.read(folder))
        if notes.drives and not all(notes.lanes[lane].ended for lane in to_come):
            time.sleep(_POLL)
            continue
        followed = [notes.lanes[lane] for lane in lanes if lane in notes.lanes]
        comes = any(not lane.ended or lane.still_unused() for lane in followed)
        if not (comes and waited < _SETTLE_SECONDS) and not StartedProcesses(notes).are_under_way():
            return
        time.sleep(max(_POLL, len(lanes) / 20_000))


def _hidden(driven: Sequence[Driven], options: Options) -> list[str]:
    """Give the remarks on credentials that could not be sent as they were, and on those given instead."""
    given = {name.lower() for name, _ in options.headers}
    counted = Counter(place for one in driven for place in one.hidden.items() if place[0] not in given)
    return [
        f"{name} of {times} {'request' if times == 1 else 'requests'} {why}; if the app checks it, --header sets it"
        for (name, why), times in counted.items()
    ]


_OUTSIDE: Final = _Driver(lambda lane: lane.is_drivable and not (inside.takes(lane) or scripts.takes(lane)), _requests)
_INSIDE: Final = _Driver(inside.takes, inside.run)
