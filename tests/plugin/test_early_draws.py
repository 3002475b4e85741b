"""What is drawn before the lane of a fixture is there does not take the draws of the fixture."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.plugin.conftest import Server
from tests.plugin.suites import Suite
from timetracer_otel.testing import tapes

pytest_plugins = ["pytester"]

DRAWS = """
@pytest.fixture(scope="session")
def number():
    return uuid.uuid4().hex

@pytest.mark.timetracer
def test_draws(number):
    assert ask("/" + number)["path"] == "/" + number
"""


def test_what_a_fixture_draws_is_its_own_though_something_was_drawn_while_its_tape_began(
    suite: Suite, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread or a library may draw for the session between the start of a recording and that of its lane."""
    install = tapes.Tape._install

    def install_and_draw(self: tapes.Tape, **settings: Any) -> None:
        install(self, **settings)
        uuid.uuid4()

    monkeypatch.setattr(tapes.Tape, "_install", install_and_draw)
    suite.write(text=DRAWS)
    suite.run().assert_outcomes(passed=1)
    assert len([name for name in suite.cassettes() if "number.setup" in name]) == 1
    suite.run().assert_outcomes(passed=1)
    suite.run("--timetracer-mode=none").assert_outcomes(passed=1)
    assert server.asked == 1
