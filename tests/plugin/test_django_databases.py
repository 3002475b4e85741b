"""Test databases of pytest-django that have the name of a worker: replayed by the recorded name, never recorded."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tests.plugin.conftest import Server
from tests.plugin.suites import Suite

pytestmark = pytest.mark.system  # suites that run suites in several workers
pytest_plugins = ["pytester"]

SETTINGS = """
import os, sys, types

OPTIONS = {"NAME": "test_shop"}
settings = types.SimpleNamespace(DATABASES={"default": {"TEST": OPTIONS}, "other": {}})
sys.modules["django.conf"] = types.SimpleNamespace(settings=settings)

@pytest.fixture(scope="session")
def naming(request):
    if worker := getattr(request.config, "workerinput", {}).get("workerid"):
        OPTIONS["NAME"] += "_" + worker

@pytest.fixture(scope="session")
def django_db_setup(naming):
    ask("/create/" + OPTIONS["NAME"])

@pytest.mark.timetracer
@pytest.mark.parametrize("number", [1, 2])
def test_asks(django_db_setup, number):
    assert ask("/" + OPTIONS["NAME"])["path"] == "/test_shop"
"""


class _Worker:
    """Says to pytest that this process is a worker of xdist."""

    def pytest_configure(self, config: Any) -> None:
        config.workerinput = {"workerid": "gw1"}


def _run(suite: Suite, *plugins: object) -> pytest.RunResult:
    others = [word for name in ("cacheprovider", "hypothesispytest", "xdist") for word in ("-p", f"no:{name}")]
    return suite.pytester.runpytest_inprocess(*others, plugins=list(plugins))


def test_a_worker_replays_the_recorded_name(suite: Suite, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker has what the run without workers recorded; what a worker would record is refused, for each test."""
    monkeypatch.setitem(sys.modules, "django.conf", SimpleNamespace())
    suite.write(text=SETTINGS)
    refused = _run(suite, _Worker())
    refused.assert_outcomes(errors=2)
    refused.stdout.fnmatch_lines(["*test_shop_gw1 is the database of one worker*without -n*"])
    assert suite.cassettes() == []
    _run(suite).assert_outcomes(passed=2)
    asked = server.asked
    _run(suite, _Worker()).assert_outcomes(passed=2)
    assert server.asked == asked
