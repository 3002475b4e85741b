"""Each mode of the plugin: what is recorded, what is replayed, what fails."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import Server
from tests.plugin.suites import Suite
from timetracer_otel.cli import listing

pytest_plugins = ["pytester"]

ASKS = """
@pytest.mark.timetracer
def test_asks():
    assert ask("/a")["number"] == 1
"""


def test_a_test_is_recorded_once_and_replayed_after(suite: Suite, server: Server) -> None:
    """The second run asks nobody, and gets what the first one got."""
    suite.write(text=ASKS)
    suite.run().assert_outcomes(passed=1)
    assert suite.cassettes() == ["test_it/test_asks.jsonl"]
    (row,) = (one for one in listing.collect(str(suite.path / "cassettes")).rows if one.kind == "lane")
    assert (row.error, row.incomplete) == (None, None)
    suite.run().assert_outcomes(passed=1)
    suite.run("--timetracer-mode=none", "--timetracer-strict").assert_outcomes(passed=1)
    assert server.asked == 1


def test_mode_none_never_goes_out_and_records_nothing(suite: Suite, server: Server) -> None:
    """A test without a cassette fails at its first call, and says which cassette it has not; others pass."""
    suite.write(text=ASKS + "\n@pytest.mark.timetracer\ndef test_asks_nothing():\n    assert True\n")
    result = suite.run("--timetracer-mode=none")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*1 call not answered by *cassettes/test_it/test_asks.jsonl*"])
    assert (server.asked, suite.cassettes()) == (0, [])


@pytest.mark.system
def test_mode_new_records_a_test_again_that_asks_for_more(suite: Suite, server: Server) -> None:
    """A test that has all it asks for is replayed; one that has changed is run again and recorded whole."""
    same = "\n@pytest.mark.timetracer\ndef test_same():\n    assert ask('/same')['number'] == 2\n"
    suite.write(text=ASKS + same)
    suite.run().assert_outcomes(passed=2)
    suite.write(text=same + ASKS.replace('ask("/a")["number"] == 1', 'ask("/a")["number"] < ask("/b")["number"]'))
    suite.run().assert_outcomes(passed=1, failed=1)
    suite.run("--timetracer-mode=new").assert_outcomes(passed=2)
    assert server.asked == 4
    suite.run("--timetracer-mode=none").assert_outcomes(passed=2)


def test_mode_all_records_everything_again(suite: Suite, server: Server) -> None:
    """What was recorded before is replaced, when the test passes."""
    suite.write(text="\n@pytest.mark.timetracer\ndef test_asks():\n    print('number', ask()['number'])\n")
    suite.run()
    suite.run("--timetracer-mode=all").assert_outcomes(passed=1)
    assert server.asked == 2
    suite.run("-s").stdout.fnmatch_lines(["*number 2*"])


@pytest.mark.parametrize(("mode", "left"), [("all", ["test_it/test_asks.jsonl"]), ("rewrite", [])])
def test_a_failed_recording_leaves_the_old_cassette_unless_it_is_rewritten(
    suite: Suite, mode: str, left: list[str]
) -> None:
    """``rewrite`` removes the cassette first, ``all`` replaces it at the end."""
    suite.write(text=ASKS)
    suite.run().assert_outcomes(passed=1)
    suite.run(f"--timetracer-mode={mode}").assert_outcomes(failed=1)
    assert suite.cassettes() == left


def test_mode_off_runs_live(suite: Suite, server: Server) -> None:
    """As if nobody had marked the test."""
    suite.write(text=ASKS)
    suite.run("--timetracer-mode=off").assert_outcomes(passed=1)
    suite.run("--timetracer-mode=off").assert_outcomes(failed=1)
    assert (server.asked, suite.cassettes()) == (2, [])


def test_the_environment_can_switch_it_off(suite: Suite, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every program."""
    monkeypatch.setenv("TIMETRACER_MODE", "off")
    suite.write(text=ASKS)
    suite.run().assert_outcomes(passed=1)
    assert (server.asked, suite.cassettes()) == (1, [])


def test_the_mode_is_that_of_the_command_line_then_of_the_marker_then_of_the_settings(suite: Suite) -> None:
    """Each wins over the next one."""
    suite.settings("timetracer_mode = none")
    suite.write(text=ASKS + ASKS.replace("test_asks", "test_other").replace("timetracer", "timetracer(mode='once')"))
    suite.run().assert_outcomes(passed=1, failed=1)
    assert suite.cassettes() == ["test_it/test_other.jsonl"]
    suite.run("--timetracer-mode=off").assert_outcomes(failed=2)


def test_a_wrong_marker_is_said(suite: Suite) -> None:
    """Neither a mode nor a setting is guessed."""
    suite.write(text=ASKS.replace("timetracer", "timetracer(mode='sometimes')"))
    result = suite.run()
    assert result.ret != 0
    assert "there is no mode 'sometimes'" in result.stdout.str() + result.stderr.str()
    suite.write(text=ASKS.replace("timetracer", "timetracer(ignore_haeders='date')"))
    result = suite.run()
    assert "has no setting 'ignore_haeders'" in result.stdout.str() + result.stderr.str()


def test_settings_of_the_marker_are_in_force(suite: Suite) -> None:
    """As those of the environment are for a program."""
    asks = """
    @pytest.mark.timetracer(ignore_query=["now"])
    def test_asks():
        assert ask(f"/a?now={time.perf_counter_ns()}")["number"] == 1
    """
    suite.write(text=asks)
    suite.run().assert_outcomes(passed=1)
    suite.run("--timetracer-mode=none").assert_outcomes(passed=1)
