"""Record and replay inside a test, in its own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timetracer_otel import autoload, seams

if TYPE_CHECKING:
    from timetracer_otel.replay.journal import Outcome

__all__ = ["Replay", "record", "replay"]


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
