"""Cassettes that stand at a URL: in object storage, by fsspec, or in a tracing backend."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from timetracer_otel.cassette import scratch, traces_api, urls
from timetracer_otel.cassette.naming import LATEST, OLD, session_file_id
from timetracer_otel.cassette.urls import Url
from timetracer_otel.errors import CassetteError

__all__ = ["download", "fetch_trace", "local_path"]

_STORAGE: Final = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "memory": "s3",
}
"""Schemes that fsspec reads, and the extra that brings what it needs for them."""
_LOGGERS: Final = ("adlfs", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._=+:-]")
_LONGEST: Final = 200
_AT_A_TIME: Final = 64
_MAGIC: Final = re.compile(r"[*?\[]")


def local_path(text: str) -> str | None:
    """Give the path of a ``file://`` URL (RFC 8089); None for other URLs.

    Args:
        text: a URL.
    """
    url = urls.parse(text)
    return url.path if url.scheme == "file" and url.host in {"", "localhost"} else None


def fetch_trace(text: str) -> Path | None:
    """Ask a tracing backend for a trace, and keep it as a file; None for a URL of something else.

    Args:
        text: ``jaeger://host/TRACE_ID`` or ``tempo://host/TRACE_ID``, see :mod:`traces_api`.

    Raises:
        CassetteError: the backend has no such trace, or cannot be asked.
    """
    url = urls.parse(text)
    if url.scheme not in traces_api.SCHEMES:
        return None
    name = _safe(url.path.rpartition("/")[2])
    file = scratch.below(_safe(url.scheme), _safe(url.host)) / name
    if not file.exists():
        _write(file, traces_api.trace(url) + b"\n")
    return file


def download(text: str) -> tuple[list[Path], list[Path]]:
    """Copy from object storage what a URL means: an object, all below a prefix, or what matches a pattern.

    The sessions that stand beside single objects are copied too, so that their lanes find them.

    Args:
        text: such as ``s3://bucket/prefix/``.

    Returns:
        The objects that were named, and the folders that were.

    Raises:
        CassetteError: the library for it is missing, there is nothing of that name, or it cannot be read.
    """
    url = urls.parse(text)
    if url.scheme not in _STORAGE:
        known = ", ".join(f"{scheme}://" for scheme in ("file", *_STORAGE, *traces_api.SCHEMES) if scheme != "memory")
        raise CassetteError(f"cassettes cannot be read from {url.scheme}:// URLs: known are {known}", file=str(url))
    try:
        with _unprinted():
            return _Storage(url).copy()
    except CassetteError:
        raise
    except ImportError as error:
        need = f"pip install 'timetracer-otel[{_STORAGE[url.scheme]}]'"
        raise CassetteError(f"needs a library that is not installed ({error}): {need}", file=str(url)) from error
    except Exception as error:  # noqa: BLE001 - each storage library has errors of its own
        reason = url.clean(f"{type(error).__name__}: {error}")
        message = f"cannot be read ({reason}): check its name, the credentials and the network"
        raise CassetteError(message, file=str(url)) from None  # the cause may tell what is secret in the URL


@contextmanager
def _unprinted() -> Iterator[None]:
    """Where no logging is set up, Python prints what these libraries log, with tracebacks: our error says it."""
    handler = logging.NullHandler()
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in _LOGGERS:
            logging.getLogger(name).removeHandler(handler)


class _Storage:
    """One URL's place in object storage."""

    def __init__(self, url: Url) -> None:
        import fsspec  # noqa: PLC0415 - comes with an extra

        self._url = url
        self._files: Any
        self._files, self._root = fsspec.core.url_to_fs(url.text)
        self._taken: dict[str, Path] = {}
        self._places: set[Path] = set()

    def copy(self) -> tuple[list[Path], list[Path]]:
        found = self._files.glob(self._root) if _MAGIC.search(self._root) else [self._root]
        kinds = {str(name): self._kind(name) for name in found}
        objects = [name for name, kind in kinds.items() if kind == "file"]
        folders = [name for name, kind in kinds.items() if kind == "directory"]
        if _MAGIC.search(self._root):
            objects = [name for name in objects if _counts(name)]
        below = [name for folder in folders for name in self._files.find(folder) if _counts(name)]
        if not objects and not below:
            raise CassetteError("there is no object of this name, and none below it", file=str(self._url))
        beside = [name for name in self._beside(objects) if name not in objects]
        self._get([*objects, *below, *beside])
        return [self._taken[name] for name in objects], [scratch.below(*self._parts(folder)) for folder in folders]

    def _kind(self, name: str) -> str | None:
        """``file``, ``directory``, or None for nothing; ``isfile`` and ``isdir`` would take any error for a no."""
        try:
            return str(self._files.info(name)["type"])
        except FileNotFoundError:
            return None

    def _beside(self, objects: Iterable[str]) -> Iterator[str]:
        for folder in dict.fromkeys(name.rpartition("/")[0] for name in objects):
            for name in self._files.ls(folder, detail=False):
                if session_file_id(str(name).rpartition("/")[2]) is not None:
                    yield str(name)

    def _get(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), _AT_A_TIME):
            some = list(dict.fromkeys(names[start : start + _AT_A_TIME]))
            places = [self._place(name) for name in some]
            self._files.get(some, [str(place) for place in places])
            for name, place in zip(some, places, strict=True):
                self._check(name, place)

    def _check(self, name: str, place: Path) -> None:
        place.chmod(0o600)
        size = self._files.info(name).get("size")
        if size is not None and place.stat().st_size != size:
            message = f"{place.stat().st_size} of its {size} bytes arrived: try again"
            raise CassetteError(message, file=f"{self._url.scheme}://{name}")

    def _place(self, name: str) -> Path:
        """Where an object goes: as it stands in its bucket, but never outside our folder."""
        *folders, last = self._parts(name)
        place = scratch.below(*folders) / last
        while place in self._places:
            place = place.with_name("-" + place.name)
        self._taken[name] = place
        self._places.add(place)
        return place

    def _parts(self, name: str) -> list[str]:
        return [self._url.scheme, *(_safe(part) for part in name.split("/") if part)]


def _counts(name: str) -> bool:
    last = name.rpartition("/")[2]
    return bool(last) and not last.startswith(".") and not last.endswith((".part", OLD)) and last != LATEST


def _safe(part: str) -> str:
    """A name that stays within its folder, whatever an object is called."""
    part = _UNSAFE.sub("-", part)
    if len(part) > _LONGEST:
        part = part[: _LONGEST // 2] + part[-_LONGEST // 2 :]
    return part if part.strip(".") else "-"


def _write(file: Path, data: bytes) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(data)
    except OSError as error:
        message = f"cannot be written ({error.strerror}): make room, or set TMPDIR to another folder"
        raise CassetteError(message, file=file) from error
