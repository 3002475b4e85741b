"""The journal of a replay, written line by line as it happens: a killed process has said all but its last word."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from timetracer_otel.cassette.model import Span
from timetracer_otel.replay.claims import Claims
from timetracer_otel.seams.lanes import process

__all__ = [
    "NEAREST",
    "UNSEEN",
    "Children",
    "Journal",
    "Outcome",
    "driven_by",
    "followed_by",
    "leave",
    "read",
    "unanswered",
]

UNSEEN = "not watched, because they connect below Python"
"""A report says this of the libraries that follow."""
NEAREST = ("nearest", "nearest again")
"""Answers to calls that asked something else; the second of one that had answered before, or that another lane made."""
_write = os.write  # before anything looks at what the app writes
_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


class Journal:
    """One process's notes: a file in the launcher's folder, or memory without one.

    Args:
        folder: where; None keeps them in memory.
        detailed: whether to note what ``--verify`` compares.
        accepting: whether to note what a new recording of the same needs.
    """

    def __init__(self, folder: Path | None, *, detailed: bool = False, accepting: bool = False) -> None:
        self._folder = folder
        self._claims = Claims(folder) if folder is not None else None
        self.detailed = detailed
        self.accepting = accepting
        self._descriptor = -1
        self._pid = -1
        self.kept: list[dict[str, Any]] = []
        self.heard: list[tuple[Span, object]] | None = None
        """Each recorded call that answered, with what was asked as people see it, where somebody wants to know."""
        self.listener: Callable[[dict[str, Any]], None] | None = None
        """Gets each note as well: a debugger that looks for a call."""

    def hear(self, recorded: Span, asked: Callable[[], object]) -> None:
        """Take note of a call in this process, where that is wanted.

        Args:
            recorded: what answers.
            asked: renders the live call; None where that is not known.
        """
        if self.heard is not None:
            self.heard.append((recorded, asked()))

    def note(self, what: str, **facts: object) -> None:
        """Note one thing; one write, whole or not at all.

        Args:
            what: ``lane``, ``end``, ``answered``, ``assumed``, ``out``, ``stands_for``, ``miss``, ``refused`` or, of
                the session, ``session_end``; of the process itself ``drives``, ``unseen``, ``sealed``,
                ``process``, ``started_for``, ``printed``, ``process_end`` and ``child``.
            facts: JSON-like.
        """
        pid = process.id
        entry = {"what": what, "pid": pid, **facts}
        if self.listener is not None:
            self.listener(entry)
        if self._folder is None:
            self.kept.append(entry)
            return
        if self._pid != pid:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._descriptor = os.open(self._folder / f"{pid}.jsonl", flags, 0o600)
            self._pid = pid  # last: other threads write as soon as it is ours
        _write(self._descriptor, orjson.dumps(entry, default=str, option=_OPTIONS))

    @property
    def is_shared(self) -> bool:
        """Whether other processes of the replay are known, so that what one claims no other has."""
        return self._folder is not None

    def claim(self, name: str) -> bool:
        """Take something that only one process of a replay may have.

        Args:
            name: of it; any text, it comes from a cassette.

        Returns:
            Whether this process is the first to ask.
        """
        return self._claims is None or self._claims.take(name)

    def withdraw(self, pid: int) -> None:
        """Take back what a process noted, which runs again from its beginning.

        Args:
            pid: its id.
        """
        if self._folder is not None:
            (self._folder / f"{pid}.jsonl").unlink(missing_ok=True)

    def has_left(self, lane_id: str) -> bool:
        """Whether the launcher said that the client of an entry has left, see :func:`leave`."""
        return self._folder is not None and (self._folder / _leaving(lane_id)).exists()


def leave(folder: Path, lane_id: str) -> None:
    """Tell the processes of a replay that the client of an entry has left; not every server tells its app.

    Args:
        folder: the launcher's.
        lane_id: that the entry follows.
    """
    (folder / _leaving(lane_id)).touch()


def driven_by(lane_id: str) -> str:
    """The name that the process of a replay claims which hands a recorded entry out.

    Args:
        lane_id: of the entry's lane.
    """
    return f"driven {lane_id}"


def followed_by(session_id: str) -> str:
    """The name that the process of a replay claims which follows a recorded process.

    Args:
        session_id: of the recorded one.
    """
    return f"session {session_id}"


def _leaving(lane_id: str) -> str:
    return f"{_digest(lane_id)}.left"


def _digest(name: str) -> str:
    """A name for a file; what is in a cassette may be any text."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Give the notes of all processes.

    Args:
        folder: the launcher's.
    """
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_bytes().splitlines():
            try:
                yield orjson.loads(line)
            except ValueError:
                continue  # a process killed in the middle of its last note


@dataclass
class Children:
    """The Python programs that processes of a replay started, and those that came up as a part of it."""

    _started: list[Mapping[str, Any]] = field(default_factory=list)
    _came_up: set[int] = field(default_factory=set)

    def take(self, note: Mapping[str, Any]) -> None:
        """Take a note of any kind."""
        self._came_up.add(note["pid"])
        if note["what"] == "child":
            self._started.append(note)

    def missing(self) -> list[Mapping[str, Any]]:
        """The notes of those that did not."""
        return [note for note in self._started if not note["reachable"] or note["child"] not in self._came_up]

    def unanswered(self) -> list[str]:
        """Their command lines, each once."""
        return list(dict.fromkeys(note["command"] for note in self.missing()))


def unanswered(command: str) -> str:
    """Say that a child was not a part of the replay.

    Args:
        command: its command line.
    """
    return f"not replayed, so its calls went out: a Python that runs apart from this environment: {command}"


def closed(why: str) -> str:
    """Say that the app was told a placeholder.

    Args:
        why: the secret is not known.
    """
    return f"the app was told a placeholder in the place of a secret, which {why}"


@dataclass
class Outcome:
    """The outcome of a whole replay.

    Attributes:
        lanes: how many entries ran, and how many of them followed a recorded lane.
        answered: calls by how they were answered.
        misses: each live call that nothing answered.
        refused: addresses that were refused.
        assumed: each live call that the closest recorded one answered, which asked something else.
        resting: how many calls were answered behind such a one in its lane, it included.
        out: addresses of calls that went out because they were not recorded.
        stands_for: recorded peers by the names that the app has for them now.
        strangers: requests that followed no recorded one, with why.
        unseen: imported libraries whose connections nobody watches.
        sealed: why the app was told placeholders in the place of secrets.
        remarks: requests, and what is to be said about the credentials that they were recorded with.
    """

    lanes: int = 0
    followed: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    misses: list[Mapping[str, Any]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    assumed: list[Mapping[str, Any]] = field(default_factory=list)
    resting: int = 0
    out: Counter[str] = field(default_factory=Counter)
    stands_for: dict[str, str] = field(default_factory=dict)
    strangers: Counter[tuple[str, str]] = field(default_factory=Counter)
    unseen: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    remarks: Counter[tuple[str, str]] = field(default_factory=Counter)
    _unused: dict[tuple[int, str, str], Mapping[str, Any]] = field(default_factory=dict)
    _asked: set[tuple[str, str]] = field(default_factory=set)
    _children: Children = field(default_factory=Children)

    @property
    def unanswered(self) -> list[str]:
        """Command lines of Python programs that were started and did not become a part of the replay."""
        return self._children.unanswered()

    @property
    def unused(self) -> list[Mapping[str, Any]]:
        """Recorded calls of followed lanes that were not asked for."""
        return list(self._unused.values())

    @classmethod
    def of(cls, notes: Iterator[dict[str, Any]]) -> Outcome:
        """Sum up the notes of all processes."""
        outcome = cls()
        for note in notes:
            outcome._children.take(note)
            match note["what"]:
                case "lane":
                    outcome._take_lane(note)
                case "answered":
                    outcome._take_answered(note)
                case "miss":
                    outcome.misses.append(note)
                case "assumed":
                    outcome.assumed.append(note)
                case "out":
                    outcome.out[" ".join(filter(None, note["key"]))] += 1
                case "refused" | "stands_for" | "unseen":
                    outcome._take_peer(note)
                case "sealed":
                    outcome.sealed.append(note["why"])
                case "end":
                    outcome._take_end(note)
        return outcome

    def _take_answered(self, note: Mapping[str, Any]) -> None:
        call = str(note.get("lane")), str(note.get("span"))
        self.answered[note["how"]] += 1
        self.resting += note.get("assumed", False)
        self._asked.add(call)
        self._unused.pop((note["pid"], *call), None)  # by a background task, after the response had ended

    def _take_end(self, note: Mapping[str, Any]) -> None:
        for call in note["unused"]:
            self._unused[note["pid"], note["lane"], call["span"]] = {**call, "request": note["request"]}
        if note.get("inherited"):  # what either process asked for was asked for
            for key in [key for key in self._unused if key[1] == note["lane"] and key[1:] in self._asked]:
                del self._unused[key]

    def _take_lane(self, note: Mapping[str, Any]) -> None:
        followed, remark = note.get("recorded") is not None, note.get("remark")
        if note.get("inherited"):  # counted where it was begun
            return
        self.lanes += 1
        self.followed += followed
        if not followed:
            self.strangers[note["request"], remark or ""] += 1
        elif remark:
            self.remarks[note["request"], remark] += 1

    def _take_peer(self, note: Mapping[str, Any]) -> None:
        match note["what"]:
            case "refused":
                self.refused.append(note["address"])
            case "stands_for":
                self.stands_for[note["name"]] = note["peer"]
            case "unseen":
                self.unseen.append(note["library"])

    def as_json(self) -> dict[str, Any]:
        """The report as data, for ``--report``."""
        return {
            "requests": self.lanes,
            "followed": self.followed,
            "not_recorded": [
                {"request": request, "message": why, "times": times} for (request, why), times in self.strangers.items()
            ],
            "answered": dict(self.answered),
            "assumed": self.resting,
            "assumptions": [dict(note) for note in self.assumed],
            "went_out": dict(self.out),
            "stands_for": self.stands_for,
            "missed": [dict(miss) for miss in self.misses],
            "refused": self.refused,
            "unseen": list(dict.fromkeys(self.unseen)),
            "sealed": list(dict.fromkeys(self.sealed)),
            "unanswered": self.unanswered,
            "unused": [dict(call) for call in self.unused],
            "remarks": [
                {"request": request, "remark": remark, "times": times}
                for (request, remark), times in self.remarks.items()
            ],
        }

    def as_text(self) -> str:
        """The report in a few lines, for people."""
        answered = ", ".join(f"{count} {how}" for how, count in sorted(self.answered.items())) or "0"
        total, missed, left = sum(self.answered.values()), len(self.misses), len(self.unused)
        requests = f"{self.lanes} requests, {self.followed} of them recorded"
        calls = f"{total} calls answered ({answered}), {missed} missed, {left} unused"
        calls += f", {self.resting} assumed" if self.resting else ""
        calls += f", {sum(self.out.values())} went out" if self.out else ""
        lines = [f"timetracer replay: {requests}; {calls}"]
        lines += [
            f"  not recorded: {request}{f': {why}' if why else ''}{f' ({times} times)' if times > 1 else ''}"
            for (request, why), times in self.strangers.most_common(5)
        ]
        lines += [f"  assumed from here on: {note['message']}" for note in self.assumed[:5]]
        lines += [
            f"  went out, because it was not recorded: {one}{f' ({times} times)' if times > 1 else ''}"
            for one, times in self.out.most_common(5)
        ]
        lines += [f"  {name} stands for {peer}" for name, peer in self.stands_for.items()]
        lines += [f"  missed: {miss['message']}" for miss in self.misses[:5]]
        lines += [f"  refused: {address}" for address in dict.fromkeys(self.refused)]
        lines += [f"  {UNSEEN}: {', '.join(dict.fromkeys(self.unseen))}"] if self.unseen else []
        lines += [f"  {closed(why)}" for why in dict.fromkeys(self.sealed)]
        lines += [f"  {unanswered(command)}" for command in self.unanswered[:5]]
        lines += [f"  unused: {' '.join(filter(None, call['key']))} of {call['request']}" for call in self.unused[:5]]
        lines += [
            f"  {times} times {request}: {remark}" if times > 1 else f"  {request}: {remark}"
            for (request, remark), times in self.remarks.most_common(5)
        ]
        return "\n".join(lines)
