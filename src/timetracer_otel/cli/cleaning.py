"""``timetracer clean``: cassettes that are old, too many, or of no interest are removed."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from timetracer_otel.cassette import storage
from timetracer_otel.cassette.naming import LATEST
from timetracer_otel.cli import listing
from timetracer_otel.cli.choosing import Wanted
from timetracer_otel.cli.summary import Summary
from timetracer_otel.errors import CassetteError, ConfigError

__all__ = ["Plan", "carry_out", "plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be removed.

    Attributes:
        files: those that go, the oldest first.
        size: their bytes.
        kept: how many files stay, of those that can be read.
        errors: of what cannot be read, and stays.
    """

    files: Sequence[Path]
    size: int
    kept: int
    errors: Sequence[CassetteError]


@dataclass(slots=True)
class _File:
    path: Path
    size: int
    start: int
    wanted: bool
    own_session: str
    sessions: frozenset[str]


def plan(folder: Path, wanted: Wanted, most: int | None) -> Plan:
    """Say which files of a directory go: those of which every lane is wanted, then the oldest until few enough stay.

    A session goes when its time has come and no lane that stays names it. What cannot be read stays.

    Args:
        folder: the directory.
        wanted: which lanes go; with nothing in it, none does.
        most: bytes that may stay; None for all.

    Raises:
        CassetteError: there is no such directory.
    """
    found = listing.collect(str(folder))
    by_file: dict[str, list[Summary]] = defaultdict(list)
    for summary in found.summaries():
        by_file[summary.file].append(summary)
    chooses = wanted != Wanted()
    files = [_file(Path(name), summaries, wanted, chooses=chooses) for name, summaries in by_file.items()]
    files.sort(key=lambda one: one.start)
    going = [one for one in files if one.wanted]
    if most is not None:
        left = sum(one.size for one in files if not one.wanted)
        for one in files:
            if left > most and not one.wanted:
                going.append(one)
                left -= one.size
    paths = {one.path for one in going}
    needed = frozenset[str]().union(*(one.sessions for one in files if one.path not in paths))
    going = [one for one in going if one.own_session not in needed or not one.own_session]
    size = sum(one.size for one in going)
    return Plan([one.path for one in going], size, len(files) - len(going), found.errors)


def _file(path: Path, summaries: Sequence[Summary], wanted: Wanted, *, chooses: bool) -> _File:
    lanes = [one for one in summaries if one.kind == "lane"]
    return _File(
        path=path,
        size=path.stat().st_size,
        start=max(one.start for one in summaries),
        wanted=chooses and all(map(wanted.takes, summaries)),
        own_session="" if lanes else summaries[0].lane_id,
        sessions=frozenset(one.session_id for one in lanes if one.session_id),
    )


def carry_out(folder: Path, files: Iterable[Path]) -> None:
    """Remove files, folders that are empty then, and let ``latest`` lead to the newest lane that is left.

    Args:
        folder: the directory.
        files: in it.

    Raises:
        ConfigError: a file cannot be removed.
    """
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{file} cannot be removed ({error.strerror}): check its permissions") from error
        for parent in (file.parent, file.parent.parent):
            if parent != folder and parent.is_relative_to(folder):
                with suppress(OSError):  # not empty
                    parent.rmdir()
    latest = folder / LATEST
    if latest.is_symlink() and not (folder / os.readlink(latest)).exists():  # noqa: PTH115 - as it stands there
        latest.unlink()
        newest = next((one for one in listing.collect(str(folder)).summaries() if one.kind == "lane"), None)
        if newest is not None:
            storage.point_latest(folder, Path(newest.file))
