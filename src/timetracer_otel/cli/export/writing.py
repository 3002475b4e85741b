"""What ``timetracer export`` does, form by form."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from timetracer_otel.cassette import bundle, storage
from timetracer_otel.cassette.model import Lane
from timetracer_otel.cassette.opening import open_lane
from timetracer_otel.cassette.shelf import Shelf
from timetracer_otel.cli.export import har, otlp, pytest_file, version1
from timetracer_otel.errors import CassetteError, ConfigError
from timetracer_otel.replay.verifying.command_line import must_be_writable

__all__ = ["HINTS", "export"]

HINTS: Final = {
    "otlp": "-o http://127.0.0.1:4318",
    "har": "-o requests.har",
    "v1": "-o DIRECTORY",
    "pytest": "-o tests/test_request.py",
}


def export(  # noqa: PLR0913, PLR0917 - each is of the command line
    form: str, files: Sequence[Path], to: str, only: str | None, app: str, left_out: list[CassetteError] | None = None
) -> str:
    """Write cassettes in a form.

    Args:
        form: one of :data:`HINTS`.
        files: the cassettes.
        to: where to.
        only: the id of one lane, or how it begins; None for all.
        app: of a test, as ``module:variable``; empty for the recorded one.
        left_out: gets the errors of files that cannot be read and are left out; None to stop at the first.

    Returns:
        What was done, for people.

    Raises:
        CassetteError: a cassette cannot be read, or nothing can be written there.
        ConfigError: there is no such lane, or none that this form has.
    """
    if form == "otlp":
        return f"{to}: {otlp.send(files, to, left_out)} messages sent"
    lanes = _lanes(files, only, left_out)
    if form == "har":
        return _har(lanes, Path(to))
    if form == "v1":
        return _version1(lanes, Path(to))
    return _pytest(list(lanes), Path(to), app)


def _lanes(files: Sequence[Path], only: str | None, left_out: list[CassetteError] | None) -> Iterator[Lane]:
    shelf = Shelf.of(files, left_out)
    wanted = [one for one in shelf.catalog.lanes if only is None or one.id.startswith(only.lower())]
    if not wanted:
        raise ConfigError("no lane to export: see `timetracer list`")
    for one in wanted:
        lane = shelf.lane(one.id)
        if lane is not None:
            yield lane


def _har(lanes: Iterator[Lane], file: Path) -> str:
    must_be_writable(file)
    archive = har.archive(lanes)
    _write(file, json.dumps(archive, indent=1).encode())
    return f"{file}: {len(archive['log']['entries'])} exchanges of {len(archive['log']['pages'])} lanes written"


def _version1(lanes: Iterator[Lane], folder: Path) -> str:
    written = left_out = 0
    for lane in lanes:
        document = version1.document(lane)
        if document is None:
            left_out += 1
            continue
        day = document["session"]["recorded_at"][:10]
        _write(folder / day / version1.file_name(lane), json.dumps(document, indent=2).encode())
        written += 1
    rest = f"; {left_out} that served no HTTP left out" if left_out else ""
    return f"{folder}: {written} cassettes of timetracer 1.x written{rest}"


def _pytest(lanes: Sequence[Lane], file: Path, app: str) -> str:
    if len(lanes) != 1:
        known = ", ".join(lane.id for lane in lanes[:5])
        raise ConfigError(f"there are {len(lanes)} lanes, a test has one: give --lane ID, such as {known}")
    if not file.name.startswith("test_") or file.suffix != ".py":
        raise ConfigError(f"{file} is no name that pytest finds: give one such as tests/test_request.py")
    (lane,) = lanes
    cassette = pytest_file.cassette_of(lane, file)
    cassette.parent.mkdir(parents=True, exist_ok=True)
    bundle.bundle([lane.file or file], cassette, None)
    text = pytest_file.source(open_lane(lane), app or pytest_file.app_of(lane))
    _write(file, text.encode())
    return f"{file}: test_{pytest_file.named(lane)} written, with its cassette {cassette}"


def _write(file: Path, data: bytes) -> None:
    storage.write_whole(file, data)
