"""``timetracer import``: what an import did, for people."""

from __future__ import annotations

from pathlib import Path

from timetracer_otel.cassette import scratch
from timetracer_otel.cassette.importing import Imported
from timetracer_otel.cli import output
from timetracer_otel.errors import CassetteError

__all__ = ["tell"]


def tell(done: Imported, to: Path) -> int:
    """Print what was imported, and on stderr what was not.

    Args:
        done: what was done.
        to: where to.

    Returns:
        The exit status: 2 when something was left out, or there was nothing.
    """
    new = f"{_count(done.lanes, 'lane')} and {_count(done.sessions, 'session')} imported"
    there = f", {done.known} {'was' if done.known == 1 else 'were'} there already" if done.known else ""
    print(f"{output.one_line(str(to))}: {new}{there}")  # noqa: T201 - the command speaks to its user
    for path, problem in done.cannot:
        output.complain(f"{scratch.named(str(path))}: not replayable as it was: {problem}")
    of_file: dict[str, list[CassetteError]] = {}
    for error in done.left_out:
        of_file.setdefault(error.file or str(error), []).append(error)
    for first, *others in of_file.values():
        output.complain(f"left out: {first}" + (f" (and {len(others):,} more faults in this file)" if others else ""))
    return 2 if done.left_out or not (done.lanes or done.sessions or done.known) else 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
