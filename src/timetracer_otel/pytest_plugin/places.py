"""Where the cassettes of tests are, named as pytest-recording names them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any, Final

import pytest

from timetracer_otel.cassette.naming import ENDINGS
from timetracer_otel.config import Compression

__all__ = ["Place", "directory", "of_fixture", "of_test"]

_FORBIDDEN: Final = re.compile(r"""[<>?%*:|"'/\\\x00-\x1f]""")
_LONGEST: Final = 180
"""Characters of a name: most filesystems take 255 bytes, and unfinished files have a longer ending."""


class Place:
    """The file of a cassette, of whatever compression.

    Args:
        folder: where it is.
        name: its name without an ending.
        alias: another name under which it may be found.
    """

    def __init__(self, folder: Path, name: str, alias: str = "") -> None:
        self._folder = folder
        self._name = name
        self._alias = alias

    def found(self) -> Path | None:
        """Give the file that is there; None when there is none."""
        names = [name for name in (self._name, self._alias) if name]
        files = (self._folder / (name + ending) for name in names for ending in ENDINGS.values())
        return next((file for file in files if file.is_file()), None)

    def to_write(self, compression: Compression) -> Path:
        """Give the file to write: the one that is there, else a new one.

        Args:
            compression: of a new one.
        """
        return self.found() or self._folder / (self._name + ENDINGS[compression])


def of_test(item: pytest.Item, named: str | None = None) -> Place:
    """Give the place of a test's cassette.

    ``cassettes/<module>/<Class>.<test>[<parameters>].jsonl`` beside the test's file, as pytest-recording has it.

    Args:
        item: the test.
        named: the name that the test itself gives, relative to the folder of its module's cassettes.
    """
    folder = _folder(item.path, item.config.rootpath, directory(item.config)) / item.path.stem
    if named is not None:
        given = Path(named)
        name = given.name
        for ending in sorted(ENDINGS.values(), key=len, reverse=True):
            name = name.removesuffix(ending)
        return Place(folder / given.parent, name)
    owner = getattr(item, "cls", None)
    whole = item.name if owner is None else f"{owner.__name__}.{item.name}"
    return Place(folder, _safe(whole), _FORBIDDEN.sub("-", whole)[:_LONGEST])


def of_fixture(fixturedef: pytest.FixtureDef[Any], node: pytest.Item | pytest.Collector, title: str) -> Place:
    """Give the place of a cassette of a fixture that tests share: ``cassettes/fixtures/<file>/<title>.jsonl``.

    Args:
        fixturedef: the fixture.
        node: that it is set up for.
        title: its name, parameter and part.
    """
    root, file = node.config.rootpath, Path(getattr(fixturedef.func, "__code__", _NO_CODE).co_filename)
    if not file.is_relative_to(root) or "site-packages" in file.parts:  # a plugin's, or a method of xunit or unittest
        path = node.path
        file = path if path.suffix == ".py" else path / f"{fixturedef.func.__module__.partition('.')[0]}.py"
    return Place(_folder(file, root, directory(node.config)) / "fixtures" / file.stem, _safe(title))


_NO_CODE: Final = (lambda: None).__code__


def directory(config: pytest.Config) -> Path | None:
    """Give the folder of all cassettes; None for one beside each test file.

    Args:
        config: of the run.
    """
    given = config.getoption("--timetracer-dir")
    if given is not None:
        return config.invocation_params.dir / str(given)
    said = config.getini("timetracer_dir")
    return config.rootpath / str(said) if said else None


def _folder(file: Path, root: Path, directory: Path | None) -> Path:
    if directory is None:
        return file.parent / "cassettes"
    return directory / file.parent.relative_to(root) if file.is_relative_to(root) else directory


def _safe(whole: str) -> str:
    """Give a name as it can be a file's; a digest keeps those apart that come out alike."""
    plain = _FORBIDDEN.sub("-", whole)
    return plain if plain == whole and len(plain) <= _LONGEST else f"{plain[:_LONGEST]}-{_digest(whole)}"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
