"""Which recorded session a live process follows: the root the root's, a child that of the same child."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from timetracer_otel import redaction, spans
from timetracer_otel.cassette.model import Lane
from timetracer_otel.replay.commands import Command, recorded_command
from timetracer_otel.replay.journal import Journal, followed_by
from timetracer_otel.seams.command_line import WORKER, of_this_process

__all__ = ["child_of", "entry_of", "parent_of", "root_of"]

_HANDLES = re.compile(r"\d+")
"""Of a worker's command line: the numbers in it are descriptors, another one each run."""


def parent_of(session: Lane) -> str:
    """The id of the session that started a recorded one; empty when nobody that was recorded did."""
    return str(session.resource.get(spans.SESSION_PARENT_ID, ""))


def entry_of(session: Lane) -> str:
    """The id of the entry that a recorded process was started for; empty when there is none."""
    return str(session.spans[0].resource.get(spans.SESSION_PLACE, "")).partition("/")[0]


def root_of(sessions: Mapping[str, Lane], journal: Journal) -> Lane | None:
    """The recorded session that this process follows, which no other process of the replay started.

    Args:
        sessions: the recorded ones by id, the best first.
        journal: of this process.

    Returns:
        The session; None when no recorded process ran the same program, and there is not just one.
    """
    roots = [session for session in sessions.values() if parent_of(session) not in sessions]
    name = Command.of(of_this_process()).name
    same = [one for one in roots if (command := recorded_command(one)) is not None and command.name == name]
    mine = _command(redaction.arguments(of_this_process()))
    alike = [one for one in same if _recorded(one) == mine]
    return _first_free([*alike, *same, *(roots if len(roots) == 1 else ())], journal)


def child_of(parent_id: str, place: str, sessions: Mapping[str, Lane], journal: Journal) -> Lane | None:
    """The recorded session that this process follows, which another process of the replay started.

    Its place among its parent's children says which it is. Where the program has changed, the same command is the
    same child, in order of start.

    Args:
        parent_id: the recorded session that its parent follows.
        place: see :data:`spans.SESSION_PLACE`.
        sessions: the recorded ones by id.
        journal: of this process.

    Returns:
        The session; None when none fits.
    """
    children = [one for one in sessions.values() if parent_of(one) == parent_id]
    children.sort(key=lambda one: one.spans[0].start)
    mine = _command(redaction.arguments(of_this_process()))
    there = [one for one in children if place and one.resource.get(spans.SESSION_PLACE) == place]
    same = [one for one in children if _recorded(one) == mine]
    return _first_free([*(one for one in there if one in same), *same, *there], journal)


def _first_free(fitting: Iterable[Lane], journal: Journal) -> Lane | None:
    """The first that no other process follows; each is followed by one."""
    if not journal.is_shared:
        return None
    return next((one for one in fitting if journal.claim(followed_by(one.id))), None)


def _recorded(session: Lane) -> Sequence[str] | None:
    command = session.resource.get("process.command_args")
    return _command([str(word) for word in command]) if isinstance(command, list) else None


def _command(words: Sequence[str]) -> list[str]:
    """Give the words of a command that tell children apart, without the interpreter's path and descriptors."""
    return [_HANDLES.sub("", word) if word.startswith(WORKER) else word for word in words[1:]]
