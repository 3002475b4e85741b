"""What fails a test beside itself, and what a failed test leaves behind."""

from __future__ import annotations

import pytest

import timetracer_otel
from tests.plugin.conftest import Server
from tests.plugin.suites import Suite

pytest_plugins = ["pytester"]

SWALLOWS = """
def careful(path):
    try:
        return ask(path)
    except Exception:
        return None

@pytest.mark.timetracer
def test_careful():
    for path in PATHS:
        careful(path)
"""


def _careful(*paths: str) -> str:
    return f"\nPATHS = {paths!r}\n" + SWALLOWS


def test_a_miss_that_the_app_swallows_fails_the_test(suite: Suite) -> None:
    """The message names the call and the cassette."""
    suite.write(text=_careful("/a"))
    suite.run().assert_outcomes(passed=1)
    suite.write(text=_careful("/a", "/b"))
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*1 call not answered by *test_it/test_careful.jsonl*", "*http GET http*/b*"])


def test_a_miss_in_a_fixtures_teardown_is_an_error(suite: Suite) -> None:
    """It comes after the test has passed."""
    fixture = "\n@pytest.fixture\ndef cleaned():\n    yield\n    careful('/clean')\n"
    suite.write(text=_careful("/a"))
    suite.run().assert_outcomes(passed=1)
    suite.write(text=_careful("/a").replace("test_careful()", "test_careful(cleaned)") + fixture)
    result = suite.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 call not answered by*", "*http GET http*/clean*"])


def test_recorded_calls_that_are_not_asked_fail_only_when_that_is_wanted(suite: Suite) -> None:
    """By the option, the setting or the marker."""
    suite.write(text=_careful("/a", "/b"))
    suite.run().assert_outcomes(passed=1)
    suite.write(text=_careful("/a"))
    suite.run().assert_outcomes(passed=1)
    result = suite.run("--timetracer-strict")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*1 call of *test_it/test_careful.jsonl not asked for*", "*http GET http*/b*"])
    suite.write(text=_careful("/a").replace("timetracer", "timetracer(strict=True)"))
    suite.run().assert_outcomes(passed=1, errors=1)
    suite.settings("timetracer_strict = true")
    suite.run().assert_outcomes(passed=1, errors=1)


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ("assert False", {"failed": 1}),
        ("raise KeyboardInterrupt", {}),
    ],
)
def test_a_test_that_does_not_pass_leaves_no_cassette(suite: Suite, ending: str, outcome: dict[str, int]) -> None:
    """It would be replayed as good."""
    suite.write(text=f"\n@pytest.mark.timetracer\ndef test_ends():\n    ask()\n    {ending}\n")
    try:
        suite.run().assert_outcomes(**outcome)
    except KeyboardInterrupt:
        assert not outcome
    assert suite.cassettes() == []


def test_neither_does_one_whose_fixture_fails_in_its_teardown(suite: Suite) -> None:
    """Nor one whose fixture failed before."""
    suite.write(
        text="""
        @pytest.fixture
        def ends_badly():
            yield
            ask("/end")
            raise ValueError("ends badly")

        @pytest.fixture
        def begins_badly():
            ask("/begin")
            raise ValueError("begins badly")

        @pytest.mark.timetracer
        def test_ends(ends_badly):
            ask()

        @pytest.mark.timetracer
        def test_begins(begins_badly):
            ask()
        """
    )
    suite.run().assert_outcomes(passed=1, errors=2)
    assert suite.cassettes() == []


def test_a_test_that_skips_itself_after_it_has_asked_does_so_in_a_replay(suite: Suite, server: Server) -> None:
    """What it asked first is answered."""
    suite.write(text="\n@pytest.mark.timetracer\ndef test_ends():\n    assert ask()\n    pytest.skip('not today')\n")
    suite.run().assert_outcomes(skipped=1)
    suite.run("--timetracer-mode=none").assert_outcomes(skipped=1)
    assert server.asked == 1


def test_a_test_that_is_expected_to_fail_is_recorded(suite: Suite, server: Server) -> None:
    """It went as it should."""
    suite.write(text="\n@pytest.mark.timetracer\n@pytest.mark.xfail\ndef test_fails():\n    assert not ask()\n")
    suite.run().assert_outcomes(xfailed=1)
    suite.run("--timetracer-mode=none").assert_outcomes(xfailed=1)
    assert server.asked == 1


@pytest.mark.parametrize("damage", ["half", "nothing", "words", "else"])
def test_a_damaged_cassette_is_an_error_that_names_it(suite: Suite, server: Server, damage: str) -> None:
    """Nothing goes out, and nothing is recorded in its place."""
    suite.write(text="\n@pytest.mark.timetracer\ndef test_asks():\n    assert ask()['number'] == 1\n")
    suite.run().assert_outcomes(passed=1)
    file = suite.path / "cassettes" / "test_it" / "test_asks.jsonl"
    whole = file.read_bytes()
    damaged = {"half": whole[: len(whole) // 2], "nothing": b"", "words": b"not a cassette\n", "else": b'{"a": 1}\n'}
    file.write_bytes(damaged[damage])
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*timetracer: *cassettes/test_it/test_asks.jsonl*"])
    assert (server.asked, file.read_bytes()) == (1, damaged[damage])


def test_a_cassette_that_cannot_be_written_is_an_error_of_the_test(suite: Suite) -> None:
    """The test itself notices nothing."""
    suite.write(text="\n@pytest.mark.timetracer\ndef test_asks():\n    assert ask()['number'] == 1\n")
    (suite.path / "cassettes").write_text("a file in the place of the folder")
    result = suite.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*timetracer: *cannot be written*"])


def test_a_process_that_is_recorded_already_cannot_be_a_tests(suite: Suite) -> None:
    """It says so."""
    suite.write(
        text="""
        import timetracer_otel

        timetracer_otel.install(mode="record", dir=os.path.abspath("whole"))

        @pytest.mark.timetracer
        def test_asks():
            ask()
        """
    )
    try:
        result = suite.run()
    finally:
        timetracer_otel.uninstall()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*timetracer is in mode record already*"])
