"""What the tests of one run of pytest have in common: settings, and the fixtures that they share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from weakref import WeakKeyDictionary

import pytest
from _pytest.runner import runtestprotocol  # what plugins that run a test again all stand on

from pytest_timetracer.options import mode_of, option
from timetracer_otel import config
from timetracer_otel.config import Settings
from timetracer_otel.errors import TimetracerError
from timetracer_otel.pytest_plugin import places
from timetracer_otel.pytest_plugin.fixtures import SharedFixtures
from timetracer_otel.pytest_plugin.places import Place
from timetracer_otel.pytest_plugin.running import Live, Run
from timetracer_otel.testing import Recording, Replaying, Tape

__all__ = ["Session"]

_MARKER: Final = "timetracer"


class Session:
    """The tests of this process that ask for a cassette.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.fixtures = SharedFixtures(config, self.tape)
        self._runs: WeakKeyDictionary[pytest.Item, Run] = WeakKeyDictionary()
        self._anew: set[pytest.Item] = set()

    @cached_property
    def _settings(self) -> Settings:
        try:
            return config.load()
        except TimetracerError as error:
            raise pytest.UsageError(f"timetracer: {error}") from error

    def named_dir(self, item: pytest.Item) -> Path:
        """Give the folder of the cassettes that tests name themselves.

        Args:
            item: the test.
        """
        said = self._config.getini("timetracer_cassette_dir")
        return (
            self._config.rootpath / said if said else places.directory(self._config) or item.path.parent / "cassettes"
        )

    @cached_property
    def _blank(self) -> Path:
        """A cassette that answers nothing: for a test that has none, and may not record one."""
        self._kept = tempfile.TemporaryDirectory(prefix="timetracer-")
        tape = Recording(Path(self._kept.name) / "blank.jsonl", "nothing", {"nondeterminism": "none"})
        tape.begin()
        tape.end()
        tape.keep()
        return tape.cassette

    def run(self, item: pytest.Item) -> Run:
        """Give a run of a test.

        Args:
            item: the test.

        Raises:
            UsageError: its marker is wrong.
        """
        mode, place, strict, settings = self._marked(item)
        if mode == "new" and item in self._anew:
            mode = "all"
        run = self._runs[item] = Run(item, self.tape(mode, place, item.nodeid, settings), strict=strict)
        return run

    def tape(self, mode: str, place: Place, title: str, settings: Mapping[str, Any] | None = None) -> Tape:
        """Give the tape that a mode wants.

        Args:
            mode: of the plugin.
            place: of the cassette.
            title: of the test or the fixture.
            settings: fields of :class:`timetracer_otel.config.Settings`.
        """
        there, compression = place.found(), self._settings.compression
        if mode == "off":
            return Live(place.to_write(compression), title)
        if mode == "rewrite" and there is not None:
            there.unlink()
        if mode in {"all", "rewrite"} or (there is None and mode != "none"):
            return Recording(place.to_write(compression), title, settings)
        tape = Replaying(there or place.to_write(compression), title, settings)
        tape.instead = self._blank if there is None else None
        return tape

    def collected(self, items: Sequence[pytest.Item]) -> None:
        """Take note of the tests that will run.

        Args:
            items: those that ask for a cassette.
        """
        for item in items:
            mode, place, *_ = self._marked(item)
            records = mode in {"all", "rewrite"} or (mode in {"once", "new"} and place.found() is None)
            self.fixtures.used_by(item, records=records)

    def run_anew(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a test of mode ``new`` that has a cassette; once more, live, when that does not have all.

        Args:
            item: the test.
            nextitem: the one behind it.

        Returns:
            True when the test was run here; None when it runs as any other.
        """
        mode, place, *_ = self._marked(item)
        if mode != "new" or place.found() is None:
            return None
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if self._runs[item].missed:
            self._anew.add(item)
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
            self._anew.discard(item)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

    def _marked(self, item: pytest.Item) -> tuple[str, Place, bool, dict[str, Any]]:
        """Give mode, cassette, strictness and settings of a test."""
        settings: dict[str, Any] = {}
        named: str | None = None
        for marker in reversed(list(item.iter_markers(_MARKER))):  # the nearest one wins
            settings |= marker.kwargs
            if len(marker.args) > 1:
                raise pytest.UsageError(f"timetracer: the marker of {item.nodeid} takes one cassette")
            named = str(marker.args[0]) if marker.args else named
        named = settings.pop("cassette", named)
        mode = mode_of(self._config, settings.pop("mode", None))
        strict = settings.pop("strict", None)
        if (asked := self._config.getoption("--timetracer-strict")) is not None or strict is None:
            strict = asked or option(self._config, "strict")
        if unknown := sorted(set(settings) - set(config.PARSERS) | set(settings) & {"dir", "files"}):
            raise pytest.UsageError(
                f"timetracer: the marker of {item.nodeid} has no setting {unknown[0]!r}; "
                f"known: cassette, mode, strict, {', '.join(config.PARSERS)}"
            )
        if self._settings.mode == "off" and "TIMETRACER_MODE" in os.environ:
            mode = "off"
        return mode, places.of_test(item, named), bool(strict), settings
