"""Reads the command line of ``--verify``, prints its results and writes its reports."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from timetracer_otel.cassette.shelf import Catalog
from timetracer_otel.errors import ConfigError
from timetracer_otel.replay.comparing import ignore

if TYPE_CHECKING:
    from timetracer_otel.replay.verifying.options import Options

__all__ = [
    "Reports",
    "check",
    "ignore_files",
    "must_be_folder",
    "must_be_there",
    "must_be_writable",
    "parse_shard",
]


@dataclass(frozen=True, slots=True)
class Reports:
    """The files to write; None for those that nobody asked for."""

    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None


def parse_shard(text: str) -> tuple[int, int]:
    """Read ``--shard i/n``.

    Raises:
        ConfigError: it is none.
    """
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise ConfigError(f"--shard {text}: give i/n, such as 1/4")
    return int(number), int(count)


def must_be_writable(*files: Path | None) -> None:
    """See that files can be written, before anything is started for them.

    Raises:
        ConfigError: one cannot.
    """
    for file in files:
        if file is None:
            continue
        if not file.parent.is_dir():
            raise ConfigError(f"{file} cannot be written: there is no directory {file.parent}")
        if file.is_dir() or not os.access(file if file.exists() else file.parent, os.W_OK):
            raise ConfigError(f"{file} cannot be written: choose another name")


def must_be_folder(folder: Path) -> None:
    """See that there is a folder to write into, and make it if need be.

    Raises:
        ConfigError: there is none, and none can be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written into: {error.strerror}") from error


def must_be_there(file: Path) -> None:
    """See that a file is there that the user named.

    Raises:
        ConfigError: it is not.
    """
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file")


def ignore_files(cassettes: Sequence[str], directory: Path) -> list[Path]:
    """Where the ignore list of some cassettes may be: beside them.

    Args:
        cassettes: as the user named them.
        directory: the cassette directory, beside ``latest`` and for what is a pattern.
    """
    folders = []
    for spec in cassettes:
        path = Path(spec)
        folders.append(path if path.is_dir() else path.parent if path.is_file() else directory)
    return [folder / ignore.FILE_NAME for folder in dict.fromkeys(folders)]


def check(catalog: Catalog, options: Options, reports: Reports, learned: Path | None) -> int:
    """Verify, tell it, and give the exit status.

    Args:
        catalog: what the cassettes hold.
        options: how.
        reports: what to write.
        learned: the ignore list to propose; None to propose none.

    Raises:
        ConfigError: a wrong option, or a report that cannot be written.
        CassetteError: a cassette that cannot be read.
    """
    from timetracer_otel.replay.accepting.accept import accept  # noqa: PLC0415 - a replay alone does not wait for it
    from timetracer_otel.replay.verifying import report, verify  # noqa: PLC0415 - as above

    signal.signal(signal.SIGTERM, _end)
    result = verify.learn(catalog, options, learned) if learned is not None else verify.verify(catalog, options)
    print(report.as_text(result))  # noqa: T201 - the command speaks to its user
    for file, form in (
        (reports.json, report.as_json),
        (reports.junit, report.as_junit),
        (reports.html, report.as_html),
    ):
        if file is not None:
            report.write(file, form(result))
    if options.accept is not None and result.verified:
        return 0 if accept(catalog, result, options.accept, print) else 1
    return result.exit_status


def _end(number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that what was started is ended too."""
    sys.exit(128 + number)
