"""The fixtures that tests share: whichever test comes first sets them up, and the last one tears them down.

So they are no part of a test: what each asks has a cassette of its own, one for its set-up and one for its teardown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import pytest

from pytest_timetracer.options import asks, mode_of
from timetracer_otel.errors import TimetracerError
from timetracer_otel.pytest_plugin import django_databases, places
from timetracer_otel.seams.lanes import process
from timetracer_otel.testing import Recording, Replaying, Tape

__all__ = ["SharedFixtures"]

_OF_RUNNERS: Final = ("_pytest.", "pytest_asyncio.", "anyio.", "xdist.", "pytest_timetracer.")
"""Modules whose fixtures ask nothing of anybody."""
_OF_USERS: Final = ("_pytest.python", "_pytest.unittest")
"""Those in which ``setup_module``, ``setup_class`` and ``setUpClass`` become fixtures."""


class SharedFixtures:
    """The shared fixtures of a run of pytest.

    Args:
        config: of the run.
        tape: gives the tape for a mode, a place and a title.
    """

    def __init__(self, config: pytest.Config, tape: Callable[[str, places.Place, str], Tape]) -> None:
        self._config = config
        self._tape_for = tape
        self._used: set[pytest.FixtureDef[Any]] = set()
        self._records = False
        """Whether a test is recorded in this run: what the fixtures make has to be there then."""
        self._numbers: dict[pytest.FixtureDef[Any], str] = {}
        """The parameter that a fixture was set up with."""
        self._tearing: dict[pytest.FixtureDef[Any], Tape] = {}

    def used_by(self, item: pytest.Item, *, records: bool) -> None:
        """Take note of a test that will run.

        Args:
            item: that asks for a cassette.
            records: whether it will be recorded.
        """
        django_databases.ask_first(item)
        self._records = self._records or records
        known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
        self._used.update(one for found in known.values() for one in found if one.scope != "function")

    def covers(self, fixturedef: pytest.FixtureDef[Any], item: pytest.Item) -> bool:
        """Whether a fixture of a wider scope has a tape of its own.

        Args:
            fixturedef: that is set up.
            item: the test that asks for it first.
        """
        module = getattr(fixturedef.func, "__module__", None) or ""
        asks_nothing = (module + ".").startswith(_OF_RUNNERS) and module not in _OF_USERS
        return (fixturedef in self._used or asks(item)) and not asks_nothing

    @contextmanager
    def set_up(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[None]:
        """Around the set-up of a shared fixture.

        Args:
            fixturedef: the fixture.
            request: for it.
        """
        if process.enclosing is not None:
            yield  # asked for by name, in the middle of another tape: it is a part of that
            return
        number = getattr(request, "param_index", None) if hasattr(request, "param") else None
        self._numbers[fixturedef] = "" if number is None else f"[{number}]"
        tape = self._begun(fixturedef, request, "setup")
        is_of_django = fixturedef.argname == django_databases.SET_UP
        if is_of_django:
            django_databases.name_as_recorded(self._config, tape)
        try:
            yield
        except BaseException as error:
            self._end(tape, error)
            raise
        fixturedef.addfinalizer(lambda: self._tear_down(fixturedef, request))
        refused = django_databases.named_for_worker(self._config, tape) if is_of_django else ""
        self._end(tape, pytest.fail.Exception(refused) if refused else None)
        if refused:
            _fail(fixturedef, request, refused)

    def _begun(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, part: str) -> Tape:
        name = f"{fixturedef.argname}{self._numbers[fixturedef]}"
        place = places.of_fixture(fixturedef, request.node, f"{name}.{part}")
        tape = self._tape(place, f"fixture {name} ({part})")
        try:
            tape.begin()
        except TimetracerError as error:
            pytest.fail(f"timetracer: {tape.title}: {error}", pytrace=False)
        return tape

    def _tape(self, place: places.Place, title: str) -> Tape:
        mode = mode_of(self._config)
        if mode not in {"once", "new"}:
            return self._tape_for(mode, place, title)
        if not self._records:
            return self._tape_for("none", place, title)
        return self._tape_for("once" if place.found() is None else "off", place, title)

    def _end(self, tape: Tape, error: BaseException | None = None) -> None:
        """End a tape; one that asked and drew nothing, or failed, leaves no cassette."""
        tape.end(error)
        if isinstance(tape, Recording):
            if error is None and tape.says_something():
                tape.keep()
            tape.discard()
        if isinstance(tape, Replaying) and (problem := tape.problem()):
            if error is None:
                pytest.fail(f"{tape.title}: {problem}", pytrace=False)
            error.add_note(problem)

    def _tear_down(self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
        """Begin the tape of a teardown; the fixture's own follows."""
        if process.enclosing is None:
            self._tearing[fixturedef] = self._begun(fixturedef, request, "teardown")

    def torn_down(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        """End the tape of a teardown.

        Args:
            fixturedef: the fixture, torn down.
        """
        if (tape := self._tearing.pop(fixturedef, None)) is not None:
            self._end(tape)


def _fail(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest, why: str) -> None:
    """Fail a fixture that was set up well, for each test that asks for it."""
    error = pytest.fail.Exception(f"timetracer: {why}", pytrace=False)
    fixturedef.cached_result = (None, fixturedef.cache_key(cast("Any", request)), (error, None))
    raise error
