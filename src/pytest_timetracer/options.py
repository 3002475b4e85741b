"""Options, settings and which tests ask for a cassette."""

from __future__ import annotations

import importlib.util
from typing import Any, Final

import pytest

__all__ = ["MODES", "add_options", "asks", "mode_of", "option"]

MODES: Final = ("once", "none", "new", "all", "rewrite", "off")
_NAME: Final = "timetracer"


def add_options(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add ours; those that pytest-recording has too are left to it where both are there.

    Args:
        parser: of the command line.
        pluginmanager: knows who else is there.
    """
    group = parser.getgroup("timetracer", "recorded tests")
    group.addoption(
        "--timetracer-mode",
        choices=MODES,
        help="once: record what has no cassette, replay the rest; none: only replay; new: record again what asks for "
        "more than its cassette has; all: record everything again; rewrite: likewise, and remove the old cassette "
        "first; off: run everything live",
    )
    group.addoption("--timetracer-dir", help="folder for all cassettes; by default `cassettes` beside each test file")
    group.addoption(
        "--timetracer-strict", action="store_true", default=None, help="fail tests on recorded calls that are not asked"
    )
    parser.addini("timetracer_mode", "as --timetracer-mode")
    parser.addini("timetracer_dir", "as --timetracer-dir, relative to the rootdir")
    parser.addini("timetracer_strict", "as --timetracer-strict", type="bool", default=False)
    parser.addini("timetracer_cassette_dir", "folder of cassettes that tests name themselves")
    if not _recording_is_there(pluginmanager):
        group.addoption("--block-network", action="store_true", default=False, help="refuse connections in every test")
        group.addoption(
            "--allowed-hosts", help="regular expressions of hosts that --block-network lets pass, by commas"
        )


def _recording_is_there(pluginmanager: pytest.PytestPluginManager) -> bool:
    blocked = pluginmanager.is_blocked("recording") or pluginmanager.is_blocked("pytest_recording")
    return not blocked and importlib.util.find_spec("pytest_recording") is not None


def asks(item: pytest.Item) -> bool:
    """Whether a test asks for a cassette: by the marker or by our fixture; others may have one of that name.

    Args:
        item: the test.
    """
    if item.get_closest_marker(_NAME) is not None:
        return True
    known = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(getattr(one.func, "__module__", "") == __package__ for one in known.get(_NAME, ())[-1:])


def option(config: pytest.Config, name: str) -> Any:
    """Give an option of the command line, else the setting of that name.

    Args:
        config: of the run.
        name: without ``timetracer``.
    """
    given = config.getoption(f"--timetracer-{name}")
    return given if given is not None else config.getini(f"timetracer_{name}")


def mode_of(config: pytest.Config, marked: object = None) -> str:
    """Give the mode: of the command line, else of the marker, else of the settings.

    Args:
        config: of the run.
        marked: what the marker says.

    Raises:
        UsageError: it is none.
    """
    mode = config.getoption("--timetracer-mode") or marked or config.getini("timetracer_mode") or "once"
    if mode not in MODES:
        raise pytest.UsageError(f"timetracer: there is no mode {mode!r}; choose one of {', '.join(MODES)}")
    return str(mode)
