"""The pytest plugin: tests that are marked ``timetracer`` are recorded once, and answered from their cassettes after.

What pytest loads in every run is this package alone, which imports neither timetracer nor OpenTelemetry: what they do
is in :mod:`timetracer_otel.pytest_plugin`, which the first test that asks for it imports.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from pytest_timetracer.network import blocked, without_recording
from pytest_timetracer.options import MODES, add_options, asks

if TYPE_CHECKING:
    from timetracer_otel.pytest_plugin import Run, Session
    from timetracer_otel.testing import Tape

__all__ = ["MODES"]

_SESSION: Final = pytest.StashKey["Session | None"]()
_RUN: Final = pytest.StashKey["Run"]()
_MARKERS: Final = (
    "timetracer(cassette=None, *, mode=None, strict=None, **settings): record the test once, replay it after",
    "block_network(allowed_hosts=None): refuse connections in the test, but to hosts that the patterns match",
)


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add options and settings."""
    add_options(parser, pluginmanager)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for line in _MARKERS[: 1 if without_recording(config) is None else 2]:
        config.addinivalue_line("markers", line)


def _session(config: pytest.Config) -> Session:
    found = config.stash.get(_SESSION, None)
    if found is None:
        from timetracer_otel.pytest_plugin import Session  # noqa: PLC0415 - only for tests that ask for it

        found = config.stash[_SESSION] = Session(config)
    return found


def _run_of(item: pytest.Item) -> Run | None:
    return item.stash.get(_RUN, None)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Find out which fixtures of a wider scope are used by tests that ask for a cassette."""
    mine = [item for item in session.items if asks(item)]
    if mine and not session.config.option.collectonly:
        _session(session.config).collected(mine)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> object:
    """Run a test of mode ``new`` a second time, where its cassette does not have all that it asks for."""
    return _session(item.config).run_anew(item, nextitem) if asks(item) else None


def _around_phase(item: pytest.Item) -> ExitStack:
    """Refuse connections in a part of a test, where that is asked for."""
    stack = ExitStack()
    if (allowed := without_recording(item.config, item)) is not None:
        stack.enter_context(blocked(allowed, while_=lambda: not _records(item)))
    return stack


def _records(item: pytest.Item) -> bool:
    run = _run_of(item)
    return run is not None and run.is_recording


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Prepare the tape of a test; it begins with the first thing that is the test's own."""
    if asks(item):
        item.stash[_RUN] = _session(item.config).run(item)
    with _around_phase(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Let a fixture of a test be part of its tape, and one that tests share have its own."""
    item: pytest.Item = request._pyfuncitem  # noqa: SLF001 - a request of a wider scope says by nothing else who asks
    run, session = _run_of(item), item.config.stash.get(_SESSION, None)
    if fixturedef.scope == "function":
        if run is not None:
            run.begin()
        return (yield)
    if session is None or not session.fixtures.covers(fixturedef, item):
        return (yield)
    with session.fixtures.set_up(fixturedef, request):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    """End the tape of a shared fixture's teardown."""
    session = request.config.stash.get(_SESSION, None)
    if session is not None:
        session.fixtures.torn_down(fixturedef)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run the test with its tape; fail it on a miss that nobody else told of."""
    run = _run_of(item)
    with _around_phase(item):
        if run is None:
            return (yield)
        run.begin()
        with run.called():
            return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Take note of how a test went."""
    report: Any = yield
    run = _run_of(item)
    if run is not None:
        run.reported(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Keep what was recorded of a test that went well."""
    run = _run_of(item)
    with _around_phase(item):
        if run is None:
            return (yield)
        with run.torn_down():
            return (yield)


@pytest.fixture
def timetracer(request: pytest.FixtureRequest) -> Tape:
    """Give the cassette in use: ``calls(…)`` to assert on, ``is_recording``, ``cassette``; it marks the test, too."""
    run = _run_of(request.node)
    if run is None:  # somebody asked for it by name, when the test was under way
        raise pytest.UsageError(
            "timetracer: mark the test with @pytest.mark.timetracer, or name the fixture in its arguments"
        )
    return run.tape_in_use()


@pytest.fixture
def timetracer_cassette_dir(request: pytest.FixtureRequest) -> Path:
    """Where the cassettes are that ``timetracer_replay``, ``_record`` and ``_auto`` name."""
    return _session(request.config).named_dir(request.node)


@pytest.fixture
def timetracer_replay(timetracer_cassette_dir: Path) -> Any:
    """Give what answers calls from a cassette that the test names."""
    from timetracer_otel import testing  # noqa: PLC0415 - only for tests that ask for it

    return lambda cassette, **settings: testing.timetracer_replay(timetracer_cassette_dir / cassette, **settings)


@pytest.fixture
def timetracer_record(timetracer_cassette_dir: Path) -> Any:
    """Give what records a cassette that the test names."""
    from timetracer_otel import testing  # noqa: PLC0415 - as above

    return lambda cassette, **settings: testing.timetracer_record(timetracer_cassette_dir / cassette, **settings)


@pytest.fixture
def timetracer_auto(timetracer_cassette_dir: Path) -> Any:
    """Give what answers from a cassette that is there, and records one that is not."""
    from timetracer_otel import testing  # noqa: PLC0415 - as above

    return lambda cassette, **settings: testing.timetracer_auto(timetracer_cassette_dir / cassette, **settings)
