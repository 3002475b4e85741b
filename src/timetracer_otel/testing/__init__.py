"""Record and replay inside a test, in its own process.

``record`` and ``replay`` do it as a service does, with folders; the ``timetracer_…`` functions with one file, into
which the whole block goes as one entry. The pytest plugin stands on the latter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timetracer_otel import autoload, seams
from timetracer_otel.errors import ReplayMiss
from timetracer_otel.testing.calls import Call
from timetracer_otel.testing.tapes import Recording, Replaying, Tape

if TYPE_CHECKING:
    from timetracer_otel.replay.journal import Outcome

__all__ = [
    "Call",
    "Recording",
    "Replay",
    "Replaying",
    "Tape",
    "record",
    "replay",
    "timetracer_auto",
    "timetracer_record",
    "timetracer_replay",
]


@contextmanager
def record(directory: Path, **settings: Any) -> Iterator[Path]:
    """Record what happens in the block. At its end everything is written and every patched object is as it was.

    Args:
        directory: for the cassettes.
        settings: more fields of :class:`timetracer_otel.config.Settings`.

    Raises:
        ConfigError: a setting is wrong, or a recording or a replay is in force already.
    """
    autoload.install(mode="record", dir=directory, **settings)
    try:
        yield directory
    finally:
        autoload.uninstall()


class Replay:
    """A replay in force."""

    def outcome(self) -> Outcome:
        """What was answered, missed, refused and left unused until now; also after the block."""
        if self._outcome is None:
            raise RuntimeError("no replay is in force")
        return self._outcome()

    def __init__(self) -> None:
        self._outcome: Callable[[], Outcome] | None = getattr(seams.active(), "outcome", None)


@contextmanager
def replay(cassette: Path, **settings: Any) -> Iterator[Replay]:
    """Answer calls in the block from a cassette. At its end every patched object is as it was.

    Args:
        cassette: a file, or a directory with all that is below it.
        settings: more fields of :class:`timetracer_otel.config.Settings`.

    Raises:
        CassetteError: it cannot be read.
        ConfigError: a setting is wrong, or a recording or a replay is in force already.
    """
    autoload.install(mode="replay", cassette=cassette, **settings)
    try:
        yield Replay()
    finally:
        autoload.uninstall()


@contextmanager
def timetracer_record(cassette: str | PathLike[str], **settings: Any) -> Iterator[Recording]:
    """Record the block into one file, which is written when the block ends well, and left as it was when it does not.

    Args:
        cassette: the file; compressed when its name ends in ``.gz`` or ``.zst``.
        settings: more fields of :class:`timetracer_otel.config.Settings`.

    Raises:
        ConfigError: a setting is wrong, or a recording or a replay is in force already.
        CassetteError: the file cannot be written.
    """
    tape = Recording(Path(cassette), _title(cassette), settings)
    tape.begin()
    try:
        yield tape
    except BaseException as error:
        tape.end(error)
        tape.discard()
        raise
    tape.end()
    tape.keep()


@contextmanager
def timetracer_replay(
    cassette: str | PathLike[str], *, strict: bool = False, plugins: Sequence[str] | None = None, **settings: Any
) -> Iterator[Replaying]:
    """Answer the calls of the block from one file.

    Args:
        cassette: the file.
        strict: whether recorded calls that were not asked for are an error too.
        plugins: when given, only these integrations are answered; the others stay live.
        settings: more fields of :class:`timetracer_otel.config.Settings`.

    Raises:
        CassetteError: it cannot be read.
        ConfigError: a setting is wrong, or a recording or a replay is in force already.
        ReplayMiss: at the end, something was asked that was not recorded, and the block went on all the same.
    """
    if plugins is not None:
        settings["mock_plugins"] = tuple(plugins)
    tape = Replaying(Path(cassette), _title(cassette), settings)
    tape.begin()
    try:
        yield tape
    except BaseException as error:
        tape.end(error)
        raise
    tape.end()
    if problem := tape.problem(strict=strict):
        raise ReplayMiss(problem)


@contextmanager
def timetracer_auto(cassette: str | PathLike[str], **settings: Any) -> Iterator[Tape]:
    """Answer from a file that is there; record one that is not.

    Args:
        cassette: the file.
        settings: more fields of :class:`timetracer_otel.config.Settings`.

    Raises:
        TimetracerError: as :func:`timetracer_record` and :func:`timetracer_replay`.
    """
    using = timetracer_replay if Path(cassette).exists() else timetracer_record
    with using(cassette, **settings) as tape:
        yield tape


def _title(cassette: str | PathLike[str]) -> str:
    return Path(cassette).name.partition(".")[0]
