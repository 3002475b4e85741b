"""The test databases of pytest-django, which its tests share, and which each worker of xdist names for itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

import pytest

from timetracer_otel.cassette import loading
from timetracer_otel.errors import CassetteError
from timetracer_otel.testing import Recording, Replaying, Tape

__all__ = ["SET_UP", "ask_first", "name_as_recorded", "named_for_worker"]

SET_UP: Final = "django_db_setup"
_ASKS_BY_NAME: Final = ("_django_setup_unittest", "_django_db_marker")
"""pytest-django's fixtures that ask for the database by name, each time in the middle of another fixture."""


def ask_first(item: pytest.Item) -> None:
    """Let a test of pytest-django ask for the database as for any other fixture that tests share.

    Else the first test to need it would have its migrations in the test's own cassette, and nobody its teardown.

    Args:
        item: any test.
    """
    names = getattr(item, "fixturenames", [])
    place = next((number for number, name in enumerate(names) if name in _ASKS_BY_NAME), None)
    if place is not None and SET_UP not in names and _has_database(item):
        names.insert(place, SET_UP)


def _has_database(item: pytest.Item) -> bool:
    if item.get_closest_marker("django_db") is not None:
        return True
    kinds = getattr(sys.modules.get("django.test"), "TransactionTestCase", None)
    return kinds is not None and issubclass(getattr(item, "cls", None) or object, kinds)


def name_as_recorded(config: pytest.Config, tape: Tape) -> None:
    """Take a worker's name out of those of its databases, where what was recorded answers instead of a server.

    Args:
        config: of the run.
        tape: of :data:`SET_UP`.
    """
    if isinstance(tape, Replaying) and _asks_something(tape):
        for options, name, ending in _of_worker(config):
            options["NAME"] = name.removesuffix(ending)


def named_for_worker(config: pytest.Config, tape: Tape) -> str:
    """Say that a recorded database has the name of a worker, so that no other run would ask for it; else nothing.

    Args:
        config: of the run.
        tape: of :data:`SET_UP`.
    """
    names = [name for _, name, _ in _of_worker(config)]
    if not names or not isinstance(tape, Recording) or not tape.calls():
        return ""
    return (
        f"{names[0]} is the database of one worker, and another run asks for one of another name: "
        "record the tests of pytest-django without -n; they are replayed with it, too"
    )


def _asks_something(tape: Replaying) -> bool:
    try:
        return any(lane.calls for lane in loading.load_alone([tape.cassette]).lanes)
    except CassetteError:
        return False


def _of_worker(config: pytest.Config) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Give the test options of each database that has a worker's name, the whole name, and how it ends."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    settings = getattr(sys.modules.get("django.conf"), "settings", None)
    if not worker or settings is None:
        return
    for database in settings.DATABASES.values():
        options = database.get("TEST", {})
        name, ending = str(options.get("NAME") or ""), f"_{worker}"
        if name.endswith(ending):
            yield options, name, ending
